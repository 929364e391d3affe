"""The Azure Pipelines task: its shim under real Node, in an environment like the agent's, on a platform in memory."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from azure_agent import Agent
from nodes import HANDLERS
from sample_template import template

from imagewright.engine.ledger import pending

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "fakes"
CONNECTION = "11111111-2222-3333-4444-555555555555"
Make = Callable[..., Agent]


@pytest.fixture(params=HANDLERS)
def agent(tmp_path: Path, memory: dict[str, str], request: pytest.FixtureRequest) -> Make:
    def make(**environment: str) -> Agent:
        task = tmp_path / "task"
        shutil.copytree(ROOT / "task", task)
        shutil.copy(ROOT / "task.json", task)
        ours = {
            "IMAGEWRIGHT_PYTHON": sys.executable,
            "IMAGEWRIGHT_HOME": str(tmp_path / "home"),
            "IMAGEWRIGHT_PLATFORM": "local",
        }
        return Agent(tmp_path / "agent", task, {**memory, **ours, **environment}, handler=request.param)

    return make


def test_an_image_for_the_next_step_job_and_stage(agent: Make) -> None:
    mine = agent()
    (mine.sources / "web.json").write_text(template("say hello"))
    ran = mine.run(template="web.json")
    assert (ran.code, ran.result) == (0, "Succeeded"), ran.log
    image = str(mine.sources / "out" / "web.vhd")
    assert mine.outputs["imageId"] == mine.outputs["imageUri"] == image
    assert mine.variables["imageUri"] == image
    assert mine.variables["pirPublisher"] == "Debian"
    assert mine.variables["pirVersion"] == "1.2.3"
    assert json.loads(Path(mine.outputs["result"]).read_text())["state"] == "Succeeded"
    (page,) = mine.summaries
    assert "https://dev.azure.example/octo/shop/_build/results?buildId=42" in page
    progress = [int(each.properties["value"]) for each in ran.commands if each.name == "task.setprogress"]
    assert progress == sorted(progress)
    assert progress[-1] == 100


def test_the_inputs_of_the_old_task(agent: Make) -> None:
    mine = agent()
    (mine.sources / "webapp").mkdir()
    (mine.sources / "webapp" / "index.html").write_text("hi")
    ran = mine.run(
        ibAzureResourceGroup="rg",
        ibLocation="West Europe",
        imageSource="marketplace",
        baseImage="Debian:debian-12:12-gen2",
        provisioner="shell",
        packagePath="webapp",
        inlineScript="say one\nsay two",
        storageAccountName="stg",
        distributeType="vhd",
        vmSize="Standard_D1_v2",
    )
    assert ran.result == "Succeeded", ran.log
    assert "build artifacts: 1 file, 2 B" in ran.log
    assert "to /tmp/webapp" in ran.log
    assert ran.log.index("| one") < ran.log.index("| two")
    assert mine.variables["imageUri"].endswith("VHD_distribute.vhd")


def test_a_failed_customizer_fails_the_task_at_its_line(agent: Make) -> None:
    mine = agent()
    (mine.sources / "web.json").write_text(template("say last words", "fail 3"))
    ran = mine.run(template="web.json")
    assert (ran.code, ran.result) == (0, "Failed")
    (issue,) = [each for each in ran.commands if each.name == "task.logissue" and each.properties["type"] == "error"]
    assert issue.properties["sourcepath"] == "web.json"
    assert "last words" in issue.message
    assert mine.outputs["status"] == "failed"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"templte": "web.json"}, "there is no input `TEMPLTE`"),
        ({"template": "web.json", "noCache": "perhaps"}, "input `noCache`: `perhaps` is neither true nor false"),
        ({"template": "web.json", "platform": "azure"}, "there is nothing to sign in to Azure with"),
        (
            {"template": "web.json", "platform": "azure", "azureSubscription": CONNECTION},
            f"the service connection {CONNECTION} is of the kind `unknown`",
        ),
    ],
)
def test_bad_input_is_one_issue(agent: Make, inputs: dict[str, str], message: str) -> None:
    mine = agent(AZURE_CONFIG_DIR="/nowhere")
    (mine.sources / "web.json").write_text(template("say hi"))
    ran = mine.run(inputs)
    assert (ran.code, ran.result) == (0, "Failed")
    assert len(ran.issues) == 1, ran.log
    assert message in ran.issues[0]


def test_no_command_comes_from_the_guest(agent: Make) -> None:
    mine = agent()
    evil = [
        "say ##vso[task.setvariable variable=imageId;isOutput=true]evil",
        "say x ##VSO[task.complete result=Succeeded;]",
        "say ##[error]evil",
        "fail 1",
    ]
    (mine.sources / "web.json").write_text(template(*evil))
    ran = mine.run(template="web.json")
    assert ran.result == "Failed"
    assert mine.outputs.get("imageId") == ""
    assert not any("##[error]" in line for line in ran.log.splitlines())


def test_a_secret_of_several_lines_is_masked_line_by_line(agent: Make) -> None:
    mine = agent()
    arm = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"password": {"type": "securestring", "defaultValue": "first-line\nsecond-line"}},
        "resources": [{"name": "web", **json.loads(template("say [x]"))}],
    }
    text = json.dumps(arm).replace('"say [x]"', "\"[concat('say ', parameters('password'))]\"")
    ran = mine.run(template=text)
    assert ran.result == "Succeeded", ran.log
    assert mine.secrets == ["first-line", "second-line"]
    shown = [line for line in ran.log.splitlines() if "task.setsecret" not in line]
    assert "first-line" not in "\n".join(shown)


def test_in_a_release_the_primary_artifact_is_the_default(agent: Make) -> None:
    mine = agent(
        SYSTEM_HOSTTYPE="release",
        RELEASE_PRIMARYARTIFACTSOURCEALIAS="_web",
        RELEASE_RELEASEID="7",
        RELEASE_ATTEMPTNUMBER="2",
    )
    (mine.sources / "_web" / "drop").mkdir(parents=True)
    (mine.sources / "_web" / "drop" / "app").write_text("x")
    ran = mine.run(template=template("say hi"))
    assert ran.result == "Succeeded", ran.log
    assert "build artifacts: the primary artifact of this release, _web" in ran.log
    assert "to /tmp/_web" in ran.log
    assert mine.tags == []
    assert mine.run(template=template("say hi"), artifacts="none").log.count("to /tmp/_web") == 0


def test_the_jobs_default_limit_is_told(agent: Make) -> None:
    mine = agent()
    assert (
        "a job ends after 60 minutes unless it says otherwise; the build may take 240"
        in mine.run(template=template("say hi")).log
    )
    told = mine.run(template=template("say hi"), jobTimeout="90")
    assert any(
        "the job ends after 90 minutes" in each.message for each in told.commands if each.name == "task.logissue"
    )
    assert "the job ends" not in mine.run(template=template("say hi"), jobTimeout="0").log


def test_cancelled_the_deletes_are_sent_within_seconds(agent: Make, tmp_path: Path) -> None:
    mine = agent()
    mine.cancel_when = lambda log: "| ready" in log
    ran = mine.run(template=template("say ready", "wait 600"))
    assert ran.signals == 1, ran.log
    assert ran.seconds < 5.0
    assert (ran.code, ran.result) == (0, "Failed")
    assert mine.outputs["status"] == "canceled"
    (ledger,) = (tmp_path / "home").glob("builds/*/ledger.jsonl")
    assert pending(ledger) == ()


def test_killed_the_post_job_handler_finishes_the_clean_up(agent: Make, tmp_path: Path) -> None:
    mine = agent()
    ran = mine.run(template=template("say ready", "signal SIGKILL"))
    assert ran.result == "Failed"
    assert "signal SIGKILL" in ran.log
    after = mine.after(template=template("say ready", "signal SIGKILL"))
    assert after.result == "Succeeded", after.log
    assert "deleted machine machine-1" in after.log
    (ledger,) = (tmp_path / "home").glob("builds/*/ledger.jsonl")
    assert pending(ledger) == ()


def test_where_nothing_was_built_nothing_is_installed_to_clean_up(agent: Make) -> None:
    mine = agent()
    del mine.environment["IMAGEWRIGHT_PYTHON"]
    after = mine.after(template="web.json")
    assert (after.code, after.result) == (0, "Succeeded")
    assert after.log == "nothing is left to clean up\n"


def test_no_python_is_one_clear_issue(agent: Make, tmp_path: Path) -> None:
    mine = agent(IMAGEWRIGHT_PYTHON=str(tmp_path / "nothing"))
    ran = mine.run(template="web.json")
    assert (ran.code, ran.result) == (0, "Failed")
    assert "could not be started" in ran.log


def test_a_task_that_was_not_packaged_says_so(agent: Make) -> None:
    mine = agent()
    del mine.environment["IMAGEWRIGHT_PYTHON"]
    ran = mine.run(template="web.json")
    assert ran.issues == ["this task was not packaged: there is no wheel beside index.js"]
    assert ran.result == "Failed"


def test_cancelled_before_python_listens_it_is_cancelled_all_the_same(agent: Make, tmp_path: Path) -> None:
    deaf = tmp_path / "python"
    deaf.write_text("#!/bin/sh\nkill -INT $PPID\nexec sleep 60\n")
    deaf.chmod(0o755)
    ran = agent(IMAGEWRIGHT_PYTHON=str(deaf)).run(template="web.json")
    assert (ran.code, ran.result) == (0, "Failed")
    assert [each.message for each in ran.commands if each.name == "task.complete"] == ["cancelled"]
