"""The steps of action.yml, executed as a runner executes them, on the platform in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from github_runner import Runner
from machine import command, path_without
from sample_template import template

from imagewright.engine.ledger import pending

Make = Callable[..., Runner]


def job(runner: Runner, **inputs: str) -> str:
    steps = [{"id": "image", "uses": "./", "with": {name.replace("_", "-"): text for name, text in inputs.items()}}]
    return runner.job(steps)


def test_an_image_id_for_the_next_step(runner: Make) -> None:
    mine = runner()
    (mine.workspace / "web.json").write_text(template("say hello"))
    steps: list[dict[str, Any]] = [
        {"id": "image", "uses": "imagewright/imagewright@v0", "with": {"template": "web.json"}},
        {
            "id": "use",
            "env": {"IMAGE": "${{ steps.image.outputs.image-id }}"},
            "run": 'test -s "$IMAGE" && echo "got $IMAGE"',
        },
    ]
    assert mine.job(steps) == "success", mine.log
    outputs = mine.outputs("image")
    assert outputs["image-id"] == str(mine.workspace / "out" / "web.vhd")
    assert outputs["custom-image-uri"] == outputs["image-id"]
    assert outputs["imagebuilder-run-status"] == "succeeded"
    assert outputs["run-output-name"] == "web"
    assert json.loads(Path(outputs["result"]).read_text())["state"] == "Succeeded"
    assert Path(outputs["log"]).is_file()
    assert f"got {outputs['image-id']}" in mine.steps["use"].log
    assert "## ✅ web" in mine.summary
    assert "https://github.example/octo/images/actions/runs/17" in mine.summary


def test_a_template_made_of_inputs_is_shown_and_kept(runner: Make) -> None:
    mine = runner()
    given = {"source_image": "Debian:debian-12:12-gen2:latest", "dist_type": "VHD", "customizer_script": "say hello"}
    assert job(mine, **given, run_output_name="mine", resource_group_name="rg", source_os_type="Linux") == "success"
    outputs = mine.outputs("image")
    assert outputs["run-output-name"] == "mine"
    assert outputs["pir-publisher"] == "Debian"
    assert json.loads(Path(outputs["template-file"]).read_text())["properties"]["customize"][0]["inline"] == [
        "say hello"
    ]
    assert '"inline": [' in mine.log
    assert "| hello" in mine.log


def test_an_inline_template_and_its_error(runner: Make) -> None:
    mine = runner()
    assert job(mine, template=template("fail 3")) == "failure"
    (error,) = [command for command in mine.steps["image/build"].commands if command.name == "error"]
    assert "customizer 1 (Shell 'script') failed" in error.message
    assert error.properties["line"] != "0"
    assert mine.outputs("image")["status"] == "failed"
    assert mine.outputs("image")["imagebuilder-run-status"] == "failed"
    assert json.loads(Path(mine.outputs("image")["result"]).read_text())["error"]["exitCode"] == 3
    assert mine.steps["image/build"].code == 3


def test_build_artifacts_are_brought_and_removed(runner: Make) -> None:
    mine = runner()
    (mine.workspace / "drop").mkdir()
    (mine.workspace / "drop" / "app").write_text("x")
    assert job(mine, template=template("say hi"), artifacts="drop", artifacts_exclude="*.pdb") == "success", mine.log
    assert "build artifacts: 1 file, 1 B" in mine.log
    steps = json.loads(Path(mine.outputs("image")["result"]).read_text())["steps"]
    assert [step["name"] for step in steps] == [
        "upload-build-artifacts", "unpack-build-artifacts", "script", "remove-build-artifacts",
    ]  # fmt: skip


def test_the_default_folder_of_build_vm_image(runner: Make) -> None:
    mine = runner()
    (mine.workspace / "workflow-artifacts").mkdir()
    (mine.workspace / "workflow-artifacts" / "app").write_text("x")
    assert job(mine, template=template("say hi")) == "success"
    assert "to /tmp/workflow-artifacts" in mine.log


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"templte": "web.json"}, "there is no input `templte`"),
        ({"template": "web.json", "no_cache": "perhaps"}, "input `no-cache`: `perhaps` is neither true nor false"),
        ({"template": "web.json", "location": "atlantis"}, "input `location`: there is no Azure region `atlantis`"),
        ({"template": "web.json", "source_image": "a:b:c:d"}, "input `source-image` contradicts input `template`"),
        ({"template": "missing.json"}, "missing.json"),
        ({"template": "web.json", "artifacts": "empty"}, "build artifacts: there is no file in `empty`"),
        ({"template": "web.json", "platform": "azure"}, "there is nothing to sign in to Azure with"),
        ({}, "there is neither a template nor a source image"),
    ],
)
def test_bad_input_is_one_annotation_before_anything_is_made(
    runner: Make, inputs: dict[str, str], message: str, tmp_path: Path
) -> None:
    mine = runner(AZURE_CONFIG_DIR="/nowhere")
    (mine.workspace / "web.json").write_text(template("say hi"))
    (mine.workspace / "empty").mkdir()
    assert job(mine, **inputs) == "failure"
    build = mine.steps["image/build"]
    errors = [command.message for command in build.commands if command.name == "error"]
    assert len(errors) == 1, build.log
    assert message in errors[0]
    assert "Traceback" not in build.log
    assert build.code in (2, 6)
    assert mine.outputs("image")["status"] == "failed"
    assert not list((tmp_path / "home").glob("builds/*/ledger.jsonl"))


def test_every_problem_of_a_template_is_at_its_line(runner: Make) -> None:
    mine = runner()
    broken = template("say hi").replace('"VHD"', '"VHX"').replace('"Shell"', '"Shel"')
    (mine.workspace / "images").mkdir()
    (mine.workspace / "images" / "web.json").write_text(broken)
    assert job(mine, template="images/web.json") == "failure"
    errors = [command for command in mine.steps["image/build"].commands if command.name == "error"]
    lines = broken.splitlines()
    assert len(errors) == 2
    for error, word in zip(errors, ("Shel", "VHX"), strict=True):
        assert error.properties["file"] == "images/web.json"
        assert f'"{word}"' in lines[int(error.properties["line"]) - 1]


def test_a_dry_run_creates_nothing(runner: Make, tmp_path: Path) -> None:
    mine = runner()
    assert job(mine, template=template("say hi"), dry_run="true") == "success", mine.log
    assert mine.outputs("image")["status"] == "planned"
    assert "1 step to run" in mine.log
    assert "Nothing was created" in mine.summary
    assert not (mine.workspace / "out").exists()


def test_a_source_that_has_not_changed_is_skipped(runner: Make) -> None:
    mine = runner()
    given = {"template": template("say hi"), "when": "source-changed"}
    assert job(mine, **given) == "success", mine.log
    assert mine.outputs("image")["status"] == "succeeded"
    assert job(mine, **given) == "success"
    assert mine.outputs("image")["status"] == "skipped"
    assert mine.outputs("image")["skipped"] == "true"
    assert "Skipped" in mine.summary
    assert job(mine, **{**given, "when": "always"}) == "success"
    assert mine.outputs("image")["status"] == "succeeded"


def test_secrets_of_the_template_are_masked_for_the_whole_job(runner: Make) -> None:
    mine = runner()
    arm = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"password": {"type": "securestring"}},
        "resources": [{"name": "web", **json.loads(template("say [x]"))}],
    }
    text = json.dumps(arm).replace('"say [x]"', "\"[concat('say ', parameters('password'))]\"")
    assert job(mine, template=text, set="password=hunter22") == "success", mine.log
    assert mine.masked == ["hunter22"]
    shown = [line for line in mine.log.splitlines() if not line.startswith("::add-mask::")]
    assert "hunter22" not in "\n".join(shown) + mine.summary


def test_no_output_and_no_command_comes_from_the_guest(runner: Make) -> None:
    mine = runner()
    evil = ["say ::set-output name=image-id::evil", "say ##[error]evil", "say ::add-mask::web", "say ::error::evil"]
    assert job(mine, template=template(*evil)) == "success", mine.log
    names = {command.name for command in mine.steps["image/build"].commands}
    assert names <= {"group", "endgroup", "warning", "debug"}
    assert mine.outputs("image")["image-id"].endswith("web.vhd")


def test_a_job_that_ends_before_the_build_is_warned_of(runner: Make) -> None:
    mine = runner()
    assert job(mine, template=template("say hi"), job_timeout="30", timeout="90") == "success"
    warnings = [each.message for each in mine.steps["image/build"].commands if each.name == "warning"]
    assert any("the job ends after 30 minutes, the build may take 90" in warning for warning in warnings)


def test_cancelled_the_deletes_are_sent_within_seconds(runner: Make, tmp_path: Path) -> None:
    """From SIGINT to a written ledger and deleted machines: under five seconds."""
    mine = runner()
    mine.cancel_when = lambda log: "| ready" in log
    assert job(mine, template=template("say ready", "wait 600")) == "cancelled", mine.log
    build = mine.steps["image/build"]
    assert build.signals == 1
    assert build.seconds < 5.0
    assert build.code == 130
    assert mine.outputs("image")["status"] == "canceled"
    (ledger,) = (tmp_path / "home").glob("builds/*/ledger.jsonl")
    assert pending(ledger) == ()
    assert mine.steps["image/cleanup"].code == 0
    assert "nothing is left to clean up" in mine.steps["image/cleanup"].log


def test_killed_the_second_step_finishes_the_clean_up(runner: Make, tmp_path: Path) -> None:
    mine = runner()
    assert job(mine, template=template("say ready", "signal SIGKILL")) == "failure"
    (ledger,) = (tmp_path / "home").glob("builds/*/ledger.jsonl")
    assert pending(ledger) == ()
    assert "deleted machine machine-1" in mine.steps["image/cleanup"].log


def test_without_uv_the_action_brings_its_own(runner: Make, tmp_path: Path) -> None:
    mine = runner(PATH=path_without(tmp_path / "bin", "uv", "uvx", "pipx"))
    assert job(mine, template=template("say hello")) == "success", mine.log
    assert mine.steps["image/uv"].outputs["path"].startswith(str(mine.temp))
    assert mine.outputs("image")["status"] == "succeeded"
    assert mine.environment["PATH"] == str(tmp_path / "bin")


def test_where_uv_cannot_be_had_that_is_said(runner: Make, tmp_path: Path) -> None:
    path = path_without(tmp_path / "bin", "uv", "uvx", "pipx", "python")
    command(path, "python3", "echo The virtual environment was not created >&2; exit 1")
    mine = runner(PATH=path)
    assert job(mine, template=template("say hello")) == "failure"
    (error,) = [each for each in mine.steps["image/uv"].commands if each.name == "error"]
    assert "python3-venv" in error.message
    assert "image/build" not in mine.steps
    assert mine.steps["image/cleanup"].code == 0


def test_what_a_workflow_sets_for_its_own_use_of_uv_does_not_steer_the_action(runner: Make, tmp_path: Path) -> None:
    theirs = {
        "UV_PYTHON": "2.7",
        "UV_PROJECT": str(tmp_path / "project"),
        "UV_PROJECT_ENVIRONMENT": str(tmp_path / "theirs"),
        "UV_ENV_FILE": str(tmp_path / ".env"),
        "UV_LOCKED": "1",
        "UV_NO_SYNC": "1",
    }
    mine = runner(**theirs)
    assert job(mine, template=template("say hello")) == "success", mine.log
    assert not (tmp_path / "theirs").exists()


def test_a_machine_that_is_kept_on_purpose_is_not_cleaned_up(runner: Make, tmp_path: Path) -> None:
    mine = runner()
    assert job(mine, template=template("fail 1"), on_failure="keep") == "failure"
    (ledger,) = (tmp_path / "home").glob("builds/*/ledger.jsonl")
    assert len(pending(ledger)) == 1
    assert "kept: machine" in mine.log
