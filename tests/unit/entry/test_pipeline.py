"""A step of a pipeline from its inputs to its outputs, in this process, on the platform in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import memory_platform
import pytest
import yaml
from runner_grammar import github_commands, github_file
from sample_template import template

from imagewright.entry.azure_pipelines import AzurePipelines
from imagewright.entry.github import GitHub
from imagewright.entry.pipeline import main
from imagewright.platforms import PLATFORMS

EXAMPLES = yaml.safe_load((Path(__file__).parent / "build_vm_image.yml").read_text("utf-8"))
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"
GALLERY = f"{GROUP}/providers/Microsoft.Compute/galleries/g/images/web"


@dataclass
class Ran:
    """One run of the action."""

    code: int
    log: str
    outputs: Mapping[str, str]

    @property
    def errors(self) -> list[str]:
        return [each.message for each in github_commands(self.log) if each.name == "error"]

    @property
    def warnings(self) -> list[str]:
        """Without the one that every template of these tests deserves."""
        found = [each.message for each in github_commands(self.log) if each.name == "warning"]
        return [each for each in found if not each.startswith("the template has no user assigned identity")]

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(Path(self.outputs["result"]).read_text("utf-8"))  # type: ignore[no-any-return]


@dataclass
class Action:
    """Runs of one workflow. Each has a runner of its own: nothing is left of the home of the run before."""

    root: Path
    capture: pytest.CaptureFixture[str]
    environment: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    cloud: memory_platform.World = field(default_factory=memory_platform.World)

    def home(self, run: int) -> Path:
        return self.root / f"home-{run}"

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    def __call__(self, home: int | None = None, **inputs: str) -> Ran:
        """`home` is the run whose home is kept; without it the home is fresh."""
        self.runs += 1
        place = self.home(home or self.runs)
        world = memory_platform.world(place)
        world.images, world.version, world.unwritable = self.cloud.images, self.cloud.version, self.cloud.unwritable
        temp = self.root / f"temp-{self.runs}"
        temp.mkdir()
        output = temp / "output"
        output.touch()
        environment = {
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_RUN_ID": str(100 + self.runs),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_JOB": "image",
            "RUNNER_TEMP": str(temp),
            "IMAGEWRIGHT_HOME": str(place),
            "IMAGEWRIGHT_PLATFORM": "local",
            **self.environment,
            **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GITHUB_OUTPUT", str(output))
            code = main(GitHub(environment), ["build"])
        return Ran(code, self.capture.readouterr().out, github_file(output))


@pytest.fixture
def action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Action:
    monkeypatch.setitem(PLATFORMS, "local", memory_platform.entry())
    mine = Action(tmp_path, capsys)
    mine.workspace.mkdir()
    monkeypatch.chdir(mine.workspace)
    return mine


def to_gallery(*definitions: str, script: str = "say hi") -> str:
    body = json.loads(template(script))
    body["properties"]["distribute"] = [
        {
            "type": "SharedImage",
            "runOutputName": f"out{number}",
            "galleryImageId": each,
            "replicationRegions": ["westus"],
        }
        for number, each in enumerate(definitions)
    ]
    return json.dumps(body)


# --- the workflows of azure/build-vm-image ---


def example(action: Action, name: str) -> dict[str, str]:
    return {
        key.replace("-", "_"): str(value).replace("${{ GITHUB.WORKSPACE }}", str(action.workspace))
        for key, value in EXAMPLES[name].items()
    }


def test_the_linux_workflow_of_build_vm_image(action: Action) -> None:
    (action.workspace / "workflow_artifacts").mkdir()
    (action.workspace / "workflow_artifacts" / "install-world.sh").write_text("echo Installing World...\n")
    ran = action(**example(action, "linux to a managed image"))
    assert ran.code == 0, ran.log
    assert "build artifacts: 1 file" in ran.log
    made = json.loads(Path(ran.outputs["template-file"]).read_text())
    assert made["properties"]["distribute"][0]["imageId"].rpartition("/")[2].startswith("mi-101-1-image-")
    assert ran.outputs["imagebuilder-run-status"] == "succeeded"
    assert ran.outputs["pirPublisher"] == ran.outputs["pir-publisher"] == "Canonical"
    assert ran.outputs["templateName"] == "UbuntuServer-18.04-LTS"


def test_the_gallery_workflow_of_build_vm_image(action: Action) -> None:
    ran = action(**example(action, "linux to a gallery"), customizer_destination="/opt/app")
    assert ran.code == 0, ran.log
    (target,) = json.loads(Path(ran.outputs["template-file"]).read_text())["properties"]["distribute"]
    assert (target["type"], target["targetRegions"]) == ("SharedImage", [{"name": "eastus2"}])
    assert any("`customizer-destination` is not used" in each for each in ran.warnings)


def test_the_windows_workflow_of_build_vm_image_is_refused_before_anybody_signs_in(action: Action) -> None:
    action.environment["IMAGEWRIGHT_PLATFORM"] = "azure"
    ran = action(**example(action, "windows to a managed image"))
    assert ran.code == 2
    (error,) = ran.errors
    assert "Windows images are not built yet" in error
    assert "keep building it with the Azure Image Builder service" in error
    body = json.loads(template("say hi").replace('"Shell"', '"PowerShell"'))
    body["properties"]["source"] |= {"publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": "2022"}
    assert "Windows images are not built yet" in action(template=json.dumps(body)).errors[0]


def test_the_first_output_of_a_template_file_by_its_former_name(action: Action) -> None:
    (action.workspace / "web.json").write_text(template("say hi"))
    ran = action(image_builder_template_name="web.json", run_output_name="mine", vm_size="Standard_D4")
    assert ran.outputs["run-output-name"] == "mine"
    assert ran.warnings == ["input `vm-size` is not used: the template file says that itself"]


# --- an inline template ---


def test_paths_in_a_template_that_stands_in_the_workflow_start_from_the_workspace(action: Action) -> None:
    (action.workspace / "setup.sh").write_text("say from the workspace\n")
    body = json.loads(template())
    body["properties"]["customize"] = [{"type": "Shell", "name": "s", "scriptUri": "setup.sh"}]
    ran = action(template=json.dumps(body))
    assert ran.code == 0, ran.log
    assert "from the workspace" in ran.log


# --- a result in every case ---


def test_there_is_a_result_in_every_case(action: Action) -> None:
    assert action(template=template("say hi"), dry_run="true").result["state"] == "Planned"
    wrong = action(template=template("say hi"), timeout="soon", cache="much").result
    assert (wrong["state"], wrong["error"]["exitCode"]) == ("Failed", 2)
    assert "`soon` is not a whole number" in wrong["error"]["message"]
    assert "`much` is not known" in wrong["error"]["message"]
    action.environment["AZURE_CONFIG_DIR"] = "/nowhere"
    nobody = action(template=template("say hi"), platform="azure", auth="oidc")
    assert (nobody.result["state"], nobody.result["error"]["exitCode"]) == ("Failed", 6)
    assert nobody.outputs["status"] == "failed"


def test_a_result_that_cannot_be_written_is_told_once(action: Action) -> None:
    (action.workspace / "file").write_text("")
    ran = action(template=template("say hi"), result="file/result.json")
    assert len(ran.errors) == 1
    assert "file/result.json cannot be written" in ran.errors[0]
    assert ran.outputs["result"] == ""


def test_cancelled_before_the_build_began(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLATFORMS, "local", memory_platform.entry("cancelled"))
    ran = action(template=template("say hi"), when="source-changed")
    assert ran.code == 130
    assert ran.outputs["status"] == "canceled"
    assert ran.result["state"] == "Canceled"


# --- when: source-changed ---


def test_the_second_run_on_a_fresh_runner_is_skipped(action: Action) -> None:
    given = {"template": to_gallery(GALLERY), "when": "source-changed"}
    assert action(**given).outputs["status"] == "succeeded"
    second = action(**given)
    assert (second.outputs["status"], second.outputs["skipped"]) == ("skipped", "true")
    assert second.result["state"] == "Skipped"
    assert second.result["source"].startswith("Debian:debian-12")
    action.cloud.version = "1.2.4"
    assert action(**given).outputs["status"] == "succeeded"


def test_an_image_of_any_run_counts(action: Action) -> None:
    given = {"template": to_gallery(GALLERY)}
    assert action(**given).outputs["status"] == "succeeded"
    assert action(**given, when="source-changed").outputs["status"] == "skipped"


def test_one_target_that_is_stale_or_gone_is_enough_to_build(action: Action) -> None:
    given = {"template": to_gallery(GALLERY, f"{GALLERY}2"), "when": "source-changed"}
    action.cloud.unwritable.add("out1")
    assert action(**given).outputs["status"] == "partially-succeeded"
    action.cloud.unwritable.clear()
    assert action(**given).outputs["status"] == "succeeded"
    assert action(**given).outputs["status"] == "skipped"
    del action.cloud.images[GALLERY]
    assert action(**given, home="3").outputs["status"] == "succeeded"


def test_a_template_made_of_inputs_is_skipped_too(action: Action) -> None:
    given = {"source_image": "Debian:debian-12:12-gen2:latest", "when": "source-changed"}
    place = {"dist_type": "sig", "dist_resource_id": GALLERY, "location": "westeurope"}
    assert action(**given, **place).outputs["status"] == "succeeded"
    assert action(**given, **place).outputs["status"] == "skipped"


def test_what_only_the_home_remembers_is_said(action: Action) -> None:
    """A managed image without a name is new in every run, a VHD is nowhere that could be asked."""
    for kind in ("ManagedImage", "VHD"):
        given = {"source_image": "Debian:debian-12:12-gen2:latest", "when": "source-changed", "dist_type": kind}
        first = action(**given)
        assert first.outputs["status"] == "succeeded", first.log
        assert any("images.json remembers" in each for each in first.warnings)
        kept = action(home=action.runs, **given)
        assert kept.outputs["status"] == "skipped", kept.log
        assert not kept.warnings
        assert action(**given).outputs["status"] == "succeeded"


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_an_error_that_quotes_a_secret_does_not_show_it(action: Action, dry_run: str) -> None:
    """The runner hides it too, but who reads standard output before a runner does must not see it either."""
    fetch = {"type": "File", "sourceUri": "[concat('no/', parameters('pw'))]", "destination": "/tmp/x"}
    arm = {
        "parameters": {"pw": {"type": "securestring"}},
        "resources": [{"name": "web", **json.loads(template(customize=[fetch]))}],
    }
    ran = action(template=json.dumps(arm), set="pw=hunter22", dry_run=dry_run)
    assert ran.code != 0
    assert len(ran.errors) == 1
    shown = [line for line in ran.log.splitlines() if not line.startswith("::add-mask::")]
    assert "hunter22" not in "\n".join(shown)


# --- what the inputs of a template are made of ---

MADE = {
    "dry-run": "true", "resource-group-name": "rg", "location": "eastus",
    "source-image": "Debian:debian-12:12-gen2:latest", "source-os-type": "linux",
}  # fmt: skip


def test_the_signature_of_a_target_is_not_shown(action: Action) -> None:
    uri = "https://account.blob.core.windows.net/c/x.vhd?sv=1&sig=TOPSECRETSIG%3D"
    ran = action(**MADE, **{"dist-type": "VHD", "vhd-uri": uri})
    assert ran.code == 0, ran.log
    shown = [line for line in ran.log.splitlines() if not line.startswith("::add-mask::")]
    assert "TOPSECRETSIG" not in "\n".join(shown)
    assert '"https://account.blob.core.windows.net/c/x.vhd?…"' in ran.log
    assert "::add-mask::sv=1&sig=TOPSECRETSIG%253D" in ran.log
    (file,) = action.root.glob("temp-1/*/template.json")
    assert uri in file.read_text("utf-8")


def test_the_name_of_an_image_has_room_for_a_long_jobs(action: Action) -> None:
    action.environment["GITHUB_JOB"] = "build-" + "x" * 90
    ran = action(**MADE)
    assert ran.code == 0, ran.log
    (file,) = action.root.glob("temp-1/*/template.json")
    image = json.loads(file.read_text("utf-8"))["properties"]["distribute"][0]["imageId"].rpartition("/")[2]
    assert len(image) == 80
    assert image.startswith("mi-101-1-build-xxx")


@pytest.mark.parametrize(("name", "folder"), [("customizer-source", "web"), ("artifacts", "web.v2")])
def test_the_folder_in_the_guest_by_the_former_name_and_by_ours(action: Action, name: str, folder: str) -> None:
    drop = action.workspace / "web.v2"
    drop.mkdir()
    (drop / "app").touch()
    ran = action(**MADE, **{name: "web.v2"})
    assert ran.code == 0, ran.log
    assert f" from web.v2 to /tmp/{folder}, removed" in ran.log


def test_steps_that_differ_in_any_input_of_the_image_make_images_of_their_own(action: Action) -> None:
    for folder in ("web", "api"):
        (action.workspace / folder).mkdir()
        (action.workspace / folder / "app").touch()
    given = [{"artifacts": "web"}, {"artifacts": "api"}, {"artifacts": "web", "location": "northeurope"}]
    given.append({"artifacts": "web", "cache-size": "10GiB"})
    legs = []
    for number, more in enumerate(given, start=1):
        assert action(**(MADE | more)).code == 0
        (file,) = action.root.glob(f"temp-{number}/*/template.json")
        image = json.loads(file.read_text("utf-8"))["properties"]["distribute"][0]["imageId"]
        legs.append(image.rpartition("-")[2])
    assert len(set(legs)) == 3
    assert legs[3] == legs[0]


def task(action: Action, body: str, **secrets: str) -> tuple[int, str]:
    """The exit code and the log of the Azure Pipelines task in a job with these secret variables."""
    environment = {
        "AGENT_TEMPDIRECTORY": str(action.root),
        "IMAGEWRIGHT_HOME": str(action.home(1)),
        "IMAGEWRIGHT_PLATFORM": "local",
        "INPUT_TEMPLATE": body,
        **{f"SECRET_{name}": value for name, value in secrets.items()},
    }
    code = main(AzurePipelines(environment), ["build"])
    return code, action.capture.readouterr().out


def test_a_secret_variable_of_azure_pipelines_is_on_no_page_and_in_no_file(action: Action) -> None:
    code, said = task(action, template("say token=hunter2hunter2\nfail 1"), APITOKEN="hunter2hunter2")
    assert code == 3
    assert "token=${SECRET_APITOKEN}" in said
    written = [
        path for path in action.root.rglob("*") if path.is_file() and path.suffix in (".md", ".json", ".jsonl")
    ]
    assert {path.suffix for path in written} == {".md", ".json", ".jsonl"}
    assert [path for path in written if "hunter2" in path.read_text("utf-8") and path.name != "template.json"] == []


def test_a_secret_variable_may_be_a_part_of_an_id(action: Action) -> None:
    """As the subscription's id often is: the outputs hold it all the same."""
    code, said = task(action, to_gallery(GALLERY, script="say memory/out0"), PART="memory/out0")
    assert code == 0
    assert "| ${SECRET_PART}" in said
    (result,) = action.root.rglob("result.json")
    (output,) = json.loads(result.read_text("utf-8"))["runOutputs"]
    assert output["artifactId"] == "/memory/out0"
    assert "isOutput=true;]/memory/out0" in said
