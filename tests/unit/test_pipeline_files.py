"""The files that are generated for the runners: right by their schemas, whole by the table."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from imagewright.entry.pipeline import NOTED
from imagewright.options.action_yml import NOTES, variable
from imagewright.options.outputs import OUTPUTS
from imagewright.options.pipeline import INPUTS, PIPELINE_TABLE
from imagewright.options.task_json import task_json

ROOT = Path(__file__).parents[2]
TASKS_SCHEMA = ROOT / ".." / "shared" / "specs" / "tasks.schema.json"
TOOLS = Path(sys.executable).parent

BUILD_VM_IMAGE = [
    "location", "resource-group-name", "image-builder-template-name", "build-timeout-in-minutes", "vm-size",
    "managed-identity", "source-image-type", "source-os-type", "source-image", "customizer-source",
    "customizer-script", "customizer-windows-update", "dist-type", "dist-resource-id", "dist-location",
    "run-output-name", "dist-image-tags",
    "distributor-type", "customizer-destination",  # its README has these two, its action.yml has not
]  # fmt: skip
TASK_1 = [
    "ibSubscription", "ibAzureResourceGroup", "ibLocation", "managedIdentity", "vnetSubnetId", "imageSource",
    "baseImage", "baseImagePubOfferSku", "baseImageVersion", "platformImagePurchasePlan",
    "customImageResourceId", "imageVersionId", "provisioner", "windowsUpdateProvisioner", "packagePath",
    "inlineScript", "storageAccountName", "distributeType", "imageIdForDistribute", "managedImageLocation",
    "galleryImageId", "replicationRegions", "vmSize", "buildTimeoutInMinutes", "runElevated", "runAsSystem",
]  # fmt: skip

action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
task = json.loads((ROOT / "task.json").read_text("utf-8"))


@pytest.mark.parametrize("name", BUILD_VM_IMAGE)
def test_the_action_takes_every_input_of_build_vm_image(name: str) -> None:
    assert name in action["inputs"]


@pytest.mark.parametrize("name", TASK_1)
def test_the_task_takes_every_input_of_the_old_task(name: str) -> None:
    assert name in {each["name"] for each in task["inputs"]}


def test_the_action_has_the_outputs_of_build_vm_image() -> None:
    declared = {"custom-image-uri", "imagebuilder-run-status", "run-output-name"}
    undeclared = {"templateName", "pirPublisher", "pirOffer", "pirSku", "pirVersion"}
    assert declared | undeclared <= set(action["outputs"])


def test_the_task_has_the_outputs_of_the_old_task() -> None:
    """As plain variables: the agent makes none of a name that `outputVariables` declares."""
    former = {output.task_output for output in OUTPUTS if output.former_task}
    assert {"imageUri", "pirPublisher", "pirOffer", "pirSku", "pirVersion", "templateName"} <= former
    assert former.isdisjoint({each["name"] for each in task["outputVariables"]})


def test_no_input_is_there_twice() -> None:
    for names in (
        [name for option in INPUTS for name in option.github_inputs],
        [name.lower() for option in INPUTS for name in option.task_inputs],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_the_build_step_hands_every_input_on() -> None:
    step = next(step for step in action["runs"]["steps"] if step.get("id") == "build")
    for name in action["inputs"]:
        assert step["env"][variable(name)] == f"${{{{ inputs.{name} }}}}"


def test_every_step_that_runs_the_tool_is_replaced_by_it() -> None:
    steps = [step for step in action["runs"]["steps"] if "imagewright.entry" in step["run"]]
    assert [step.get("if", "") for step in steps] == ["", "always()"]
    assert all(step["run"].splitlines()[-1].startswith("exec env -u UV_PYTHON ") for step in steps)


def test_the_clean_up_knows_where_the_notes_of_builds_are() -> None:
    assert NOTES == NOTED
    assert f"'{NOTES}'" in (ROOT / "task" / "index.js").read_text("utf-8")


def test_the_task_runs_on_node_20_and_24_and_cleans_up_after_the_job() -> None:
    for phase in ("execution", "postjobexecution"):
        assert set(task[phase]) == {"Node20_1", "Node24"}
        assert all((ROOT / "task" / handler["target"]).is_file() for handler in task[phase].values())


def test_what_the_packager_demands_is_there() -> None:
    assert 1 <= len(task["friendlyName"]) <= 40
    assert task["instanceNameFormat"]
    groups = {group["name"] for group in task["groups"]}
    assert all(each["groupName"] in groups for each in task["inputs"])


def test_a_visible_rule_speaks_of_an_input() -> None:
    names = {each["name"] for each in task["inputs"]}
    rules = [each["visibleRule"] for each in task["inputs"] if "visibleRule" in each]
    assert {re.split(r"\W", rule)[0] for rule in rules} <= names


def test_every_pipeline_option_says_what_it_is_for() -> None:
    for option in PIPELINE_TABLE:
        assert option.help
        assert not option.help.endswith(".")
        assert option.github or option.task


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOLS / command[0]), *command[1:]], check=False, capture_output=True, text=True, cwd=ROOT
    )


def test_the_action_is_right_by_its_schema() -> None:
    done = tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml")
    assert done.returncode == 0, done.stdout


@pytest.mark.shared
@pytest.mark.skipif(
    not TASKS_SCHEMA.exists(), reason="task.json was not checked: its schema is only in ../shared, which is not there"
)
def test_the_task_is_right_by_its_schema() -> None:
    done = tool("check-jsonschema", "--regex-variant", "nonunicode", "--schemafile", str(TASKS_SCHEMA), "task.json")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_our_own_workflow_is_right_by_its_schema(schema: str) -> None:
    done = tool("check-jsonschema", "--builtin-schema", schema, ".github/workflows/ci.yml")
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing_in_the_action() -> None:
    done = tool("zizmor", "--offline", "--no-progress", "action.yml")
    assert done.returncode == 0, done.stdout


def test_the_task_speaks_of_its_own_inputs() -> None:
    others = {option.github_input for option in INPUTS if option.github_input != option.task_input}
    helps = [str(one["helpMarkDown"]) for one in json.loads(task_json("1.2.3"))["inputs"]]
    assert [text for text in helps if set(re.findall(r"`([a-z-]+)`", text)) & others] == []
    assert any("`sourceImage`" in text for text in helps)
