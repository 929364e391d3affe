from __future__ import annotations

import json

from imagewright.core.origin import Origin
from imagewright.core.plan import MachineSpec, Optimization, Plan, PlatformImage, Validation
from imagewright.core.result import BuildResult, RunOutput, RunState
from imagewright.entry.outputs import of_build, of_none, without_subscription
from imagewright.options.outputs import OUTPUTS

VERSION = "/subscriptions/s-1/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/web/versions/1.0.3"
PLAN = Plan(
    "web",
    Origin("web.json"),
    PlatformImage("Debian", "debian-12", "12-gen2", "latest"),
    MachineSpec(),
    (),
    Validation(),
    Optimization(),
    (),
)


def result(state: RunState = RunState.SUCCEEDED, *outputs: RunOutput) -> BuildResult:
    return BuildResult(
        "b-1", "web", "azure", state, outputs, "Debian:debian-12:12-gen2:latest (0.2026.1)", log="/log"
    )


def test_an_image_is_told_under_every_name_that_people_use() -> None:
    found = (RunOutput("sig", VERSION), RunOutput("disk", artifact_uri="https://a.blob/vhds/web.vhd"))
    values = of_build(result(RunState.SUCCEEDED, *found), PLAN, template="web.json", result_file="/r.json")
    assert values["image-id"] == values["custom-image-uri"] == values["image-uri"] == VERSION
    assert values["version"] == "1.0.3"
    assert values["imagebuilder-run-status"] == values["status"] == "succeeded"
    assert values["run-output-name"] == "sig"
    assert json.loads(values["image-ids"]) == {"sig": VERSION, "disk": "https://a.blob/vhds/web.vhd"}
    assert (values["pir-publisher"], values["pir-offer"]) == ("Debian", "debian-12")
    assert (values["pir-sku"], values["pir-version"]) == ("12-gen2", "0.2026.1")
    assert set(values) <= {output.name for output in OUTPUTS}


def test_ids_without_the_subscription_survive_a_mask() -> None:
    values = of_build(result(RunState.SUCCEEDED, RunOutput("sig", VERSION)), None, template="", result_file="")
    assert "s-1" not in values["image-path"] + values["image-paths"]
    assert values["image-path"].startswith("/resourceGroups/g/")
    assert without_subscription("https://a/b") == "https://a/b"


def test_a_failed_build_says_so_and_brings_its_log() -> None:
    values = of_build(result(RunState.FAILED), PLAN, template="web.json", result_file="/r.json")
    assert (values["status"], values["imagebuilder-run-status"]) == ("failed", "failed")
    assert (values["image-id"], values["log"], values["result"]) == ("", "/log", "/r.json")
    partly = of_build(result(RunState.PARTIALLY_SUCCEEDED), PLAN, template="", result_file="")
    assert (partly["status"], partly["imagebuilder-run-status"]) == ("partially-succeeded", "failed")


def test_nothing_was_built() -> None:
    def none(state: RunState) -> dict[str, str]:
        return of_none(BuildResult("", "", "local", state, source="a:b:c:d"), result_file="/r.json")

    assert (none(RunState.SKIPPED)["status"], none(RunState.SKIPPED)["skipped"]) == ("skipped", "true")
    assert (none(RunState.PLANNED)["status"], none(RunState.PLANNED)["skipped"]) == ("planned", "false")
    assert (none(RunState.FAILED)["status"], none(RunState.FAILED)["imagebuilder-run-status"]) == ("failed", "failed")
    assert none(RunState.CANCELED)["status"] == "canceled"
    assert none(RunState.PLANNED)["result"] == "/r.json"
