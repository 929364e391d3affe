"""Every sample workflow and pipeline is right by its schema, and runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from azure_agent import Agent
from azure_pipeline import run_pipeline
from github_runner import Runner
from github_workflow import run_workflow
from pages import block
from sample_template import template

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "samples" / "pipelines" / "github"
AZURE = ROOT / "samples" / "pipelines" / "azure"
WORKFLOWS = sorted(file.name for file in GITHUB.glob("*.yml") if file.name != "zizmor.yml")
PIPELINES = sorted(file.name for file in AZURE.glob("*.yml"))
TOOLS = Path(sys.executable).parent
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
VARIABLES = {"AZURE_CLIENT_ID": "client", "AZURE_TENANT_ID": "tenant", "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with the tools that hosted runners bring and this machine may not have."""
    directory = tmp_path_factory.mktemp("bin")
    scripts = {
        "pipx": f'''#!/bin/sh
[ "$1 $2 $3 $4" = "run --spec git+https://github.com/imagewright/imagewright@v0 imagewright" ] || exit 1
shift 4
exec "{sys.executable}" -P -m imagewright "$@"
''',
        "sudo": "#!/bin/sh\nexit 0\n",
    }
    for name, text in scripts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def images(workspace: Path) -> None:
    """The user's repository: two templates."""
    (workspace / "images").mkdir(parents=True, exist_ok=True)
    (workspace / "images" / "web.json").write_text(template("say web"))
    (workspace / "images" / "api.json").write_text(template("say api"))


def test_every_sample_is_run_here() -> None:
    run = re.findall(r'run_(workflow|pipeline)\((?:GITHUB|AZURE) / "([\w.-]+)"', Path(__file__).read_text("utf-8"))
    assert {name for kind, name in run if kind == "workflow"} == set(WORKFLOWS)
    assert {name for kind, name in run if kind == "pipeline"} == set(PIPELINES)


# --- GitHub ---


@pytest.fixture
def make_runner(runner: Callable[..., Runner], tmp_path: Path, commands: str) -> Callable[[str], Runner]:
    def make(leg: str) -> Runner:
        base = runner(PATH=commands, IMAGEWRIGHT_SUBSCRIPTION=SUBSCRIPTION)  # what the step of azure/login would tell
        mine = Runner(tmp_path / "runners" / leg, base.environment, base.actions, cache=tmp_path / "cache")
        images(mine.workspace)
        return mine

    return make


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    program = str(TOOLS / command[0])
    return subprocess.run([program, *command[1:]], check=False, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_right_by_its_schema_and_safe(name: str) -> None:
    file = str(GITHUB / name)
    for command in (
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", file),
        ("check-jsonschema", "--builtin-schema", "custom.github-workflows-require-timeout", file),
        ("actionlint", file),
        ("zizmor", "--offline", "--no-progress", "--config", str(GITHUB / "zizmor.yml"), file),
    ):
        done = tool(*command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_of_the_readme_hands_the_image_to_the_next_job(make_runner: Callable[[str], Runner]) -> None:
    ran = run_workflow(GITHUB / "image.yml", make_runner, VARIABLES)
    assert ran.statuses == {"image": ["success"], "deploy": ["success"]}, ran.legs["image"][0].log
    image = ran.outputs["image"]["image"]
    assert image.endswith("web.vhd")
    assert f"deploying {image}" in ran.legs["deploy"][0].log


def test_a_build_on_the_runner_itself(make_runner: Callable[[str], Runner]) -> None:
    ran = run_workflow(GITHUB / "on-the-runner.yml", make_runner, {})
    (leg,) = ran.legs["vhd"]
    assert leg.status == "success", leg.log
    assert (leg.workspace / "vhd" / "web.vhd").is_file()


def test_our_own_workflow_runs_the_action_on_the_platform_in_memory(
    make_runner: Callable[[str], Runner],
) -> None:
    def make(leg: str) -> Runner:
        mine = make_runner(leg)
        for folder in ("samples", "task", "tests"):
            (mine.workspace / folder).symlink_to(ROOT / folder)
        (mine.workspace / ".venv").symlink_to(mine.actions["./"] / ".venv")
        return mine

    ran = run_workflow(ROOT / ".github" / "workflows" / "ci.yml", make, {}, only="elsewhere")
    assert ran.statuses == {"elsewhere": ["success", "success"]}, ran.legs["elsewhere"][0].log


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/build-in-github-actions.md"])
def test_the_workflow_of_a_page(page: str, make_runner: Callable[[str], Runner], tmp_path: Path) -> None:
    file = tmp_path / "image.yml"
    file.write_text(block(page, "jobs:"))
    ran = run_workflow(file, make_runner, VARIABLES)
    (leg,) = ran.legs["image"]
    assert leg.status == "success", leg.log
    assert list(leg.steps.values())[-1].log == f"{leg.outputs('image')['image-id']}\n"


def test_the_runner_gets_every_package_that_a_build_needs() -> None:
    setup = (ROOT / "script" / "setup").read_text("utf-8")
    wanted = re.search(r"build_packages=\((.*?)\)", setup, re.DOTALL)
    sample = (GITHUB / "on-the-runner.yml").read_text("utf-8").replace("\\\n", " ")
    given = re.search(r"apt-get install -y -q --no-install-recommends (.*)", sample)
    assert wanted
    assert given
    assert given.group(1).split() == wanted.group(1).split()


def test_a_matrix_has_a_leg_for_each_template(make_runner: Callable[[str], Runner]) -> None:
    ran = run_workflow(GITHUB / "matrix.yml", make_runner, VARIABLES)
    assert ran.statuses == {"legs": ["success"], "image": ["success", "success"]}
    assert [("| api" in leg.log, "| web" in leg.log) for leg in ran.legs["image"]] == [(True, False), (False, True)]


def test_the_nightly_build_is_skipped_until_the_source_changes(
    make_runner: Callable[[str], Runner], tmp_path: Path
) -> None:
    first = run_workflow(GITHUB / "patch.yml", make_runner, VARIABLES).legs["image"][0]
    assert first.status == "success", first.log
    assert "rolling out" in first.log
    shutil.rmtree(tmp_path / "runners")
    second = run_workflow(GITHUB / "patch.yml", make_runner, VARIABLES).legs["image"][0]
    assert second.status == "success", second.log
    assert "skipped: the last image was built from" in second.log
    assert "rolling out" not in second.log


def test_a_workflow_for_build_vm_image_changes_one_line(make_runner: Callable[[str], Runner]) -> None:
    ran = run_workflow(GITHUB / "from-build-vm-image.yml", make_runner, VARIABLES)
    (leg,) = ran.legs["image"]
    assert leg.status == "success", leg.log
    assert "Unexpected input" not in leg.log
    assert "build artifacts: 1 file, 6 B" in leg.log
    made = json.loads(Path(leg.outputs("imagebuilder")["template-file"]).read_text())
    assert made["location"] == "westeurope"
    assert made["properties"]["distribute"][0]["targetRegions"] == [{"name": "westeurope"}, {"name": "northeurope"}]


# --- Azure Pipelines ---


@pytest.fixture
def make_agent(tmp_path: Path, memory: dict[str, str], commands: str) -> Callable[[str], Agent]:
    task = tmp_path / "task"
    shutil.copytree(ROOT / "task", task)
    shutil.copy(ROOT / "task.json", task)

    def make(job: str) -> Agent:
        environment = {
            **memory,
            "PATH": commands,
            "IMAGEWRIGHT_PYTHON": sys.executable,
            "IMAGEWRIGHT_HOME": str(tmp_path / "home"),
            "IMAGEWRIGHT_PLATFORM": "local",
            "IMAGEWRIGHT_SUBSCRIPTION": SUBSCRIPTION,
        }
        agent = Agent(tmp_path / "agents" / job.replace(" ", "-"), task, environment)
        images(agent.sources)
        return agent

    return make


@pytest.fixture
def predefined(tmp_path: Path) -> dict[str, str]:
    return {
        "Build.ArtifactStagingDirectory": str(tmp_path / "a"),
        "gallery": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/images/providers/Microsoft.Compute/galleries/shop",
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_right_by_its_schema_with_our_inputs_added(name: str, tmp_path: Path) -> None:
    done = checked((AZURE / name).read_text("utf-8"), tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_misspelt_input_is_found_by_the_schema(tmp_path: Path) -> None:
    right = "steps:\n  - task: Imagewright@0\n    inputs:\n      template: web.json\n"
    assert checked(right, tmp_path).returncode == 0
    assert checked(right.replace("template", "templte"), tmp_path).returncode == 1


def checked(pipeline: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """To Azure Pipelines every scalar is a string, and so the schema has it."""
    schema, instance = directory / "azure-pipelines.json", directory / "pipeline.json"
    schema.write_text(json.dumps(with_our_task()))
    instance.write_text(json.dumps(yaml.load(pipeline, yaml.BaseLoader)))
    return tool("check-jsonschema", "--regex-variant", "nonunicode", "--schemafile", str(schema), str(instance))


def with_our_task() -> dict[str, object]:
    """The published schema knows no task of the marketplace: ours is added as it knows its own."""
    import check_jsonschema

    vendored = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    schema = json.loads(vendored.read_text("utf-8"))
    manifest = json.loads((ROOT / "task.json").read_text("utf-8"))
    names = [each["name"] for each in manifest["inputs"]]
    ours = {
        "properties": {
            "task": {"pattern": "^Imagewright@0$"},
            "inputs": {"type": "object", "properties": {name: {} for name in names}, "additionalProperties": False},
        },
        "required": ["inputs"],
    }
    task = schema["definitions"]["task"]
    task["properties"]["task"]["anyOf"].append({"enum": ["Imagewright@0"]})
    task["anyOf"].append(ours)
    return schema  # type: ignore[no-any-return]


def test_a_stage_reads_the_image_of_the_stage_before(
    make_agent: Callable[[str], Agent], predefined: dict[str, str]
) -> None:
    ran = run_pipeline(AZURE / "image.yml", make_agent, predefined)
    assert ran.results == {"build": "Succeeded", "deploy": "Succeeded"}, ran.logs["build"]
    image = ran.outputs["image"]["build"]["web.imageId"]
    assert image.endswith("web.vhd")
    assert f"deploying {image}" in ran.logs["deploy"]


def test_a_matrix_of_azure_has_a_leg_for_each_template(
    make_agent: Callable[[str], Agent], predefined: dict[str, str]
) -> None:
    ran = run_pipeline(AZURE / "matrix.yml", make_agent, predefined)
    assert ran.results == {"find": "Succeeded", "image api": "Succeeded", "image web": "Succeeded"}, ran.logs
    assert "| api" in ran.logs["image api"]


def test_the_nightly_pipeline(make_agent: Callable[[str], Agent], predefined: dict[str, str], tmp_path: Path) -> None:
    first = run_pipeline(AZURE / "patch.yml", make_agent, predefined, tmp_path / "cache")
    assert first.results == {"image": "Succeeded"}, first.logs["image"]
    assert "rolling out" in first.logs["image"]
    shutil.rmtree(tmp_path / "agents")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["images.json"]
    second = run_pipeline(AZURE / "patch.yml", make_agent, predefined, tmp_path / "cache")
    assert "skipped: the last image was built from" in second.logs["image"]
    assert "rolling out" not in second.logs["image"]


def test_a_pipeline_for_the_old_task_changes_one_line(
    make_agent: Callable[[str], Agent], predefined: dict[str, str]
) -> None:
    ran = run_pipeline(AZURE / "from-azure-image-builder-task.yml", make_agent, predefined)
    assert ran.results == {"image": "Succeeded"}, ran.logs["image"]
    assert "build artifacts: 1 file, 6 B" in ran.logs["image"]
    assert ran.logs["image"].rstrip().endswith("/memory/SharedImage_distribute from Canonical 1.2.3")


@pytest.mark.parametrize(
    ("page", "beginning"), [("README.md", "steps:"), ("docs/how-to/build-in-azure-pipelines.md", "jobs:")]
)
def test_the_pipeline_of_a_page(
    page: str, beginning: str, make_agent: Callable[[str], Agent], predefined: dict[str, str], tmp_path: Path
) -> None:
    pipeline = yaml.safe_load(block(page, beginning))
    file = tmp_path / "azure-pipelines.yml"
    file.write_text(yaml.safe_dump(pipeline if "jobs" in pipeline else {"jobs": [{"job": "image", **pipeline}]}))
    ran = run_pipeline(file, make_agent, predefined)
    assert ran.results == {"image": "Succeeded"}, ran.logs["image"]
    image = ran.outputs[""]["image"]["image.imageId"]
    assert image.endswith("web.vhd")
    assert ran.logs["image"].endswith(f"{image}\n")
