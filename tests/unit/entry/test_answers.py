from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin


def test_a_valid_file(cli) -> None:
    assert cli("validate", cli.template("say hello")) == 0
    assert cli.out == "web.json: valid: web\nthe file is valid\n"
    assert cli.err == ""


def test_every_error_of_every_file_and_a_summary(cli) -> None:
    good = cli.template("say hello", name="good.json")
    bad = cli.template("say hello", name="bad.json", buildTimeoutInMinutes=2, vmProfile={"osDiskSizeGB": "big"})
    assert cli("validate", good, bad, "missing.json") == 2
    assert cli.out.count("error: ") >= 3
    assert "good.json: valid" in cli.out
    assert cli.out.splitlines()[-1].startswith("2 invalid files of 3: ")


def test_validate_as_json_is_one_array(cli) -> None:
    bad = cli.template("say hello", buildTimeoutInMinutes=2)
    assert cli("validate", bad, "--format", "json") == 2
    (report,) = json.loads(cli.out)
    assert set(report) == {"file", "valid", "templates", "diagnostics"}
    assert report["file"] == "web.json"
    assert report["valid"] is False
    fields = {"severity", "code", "message", "hint", "file", "pointer", "line", "column"}
    assert all(set(found) == fields for found in report["diagnostics"])
    assert any(found["pointer"] == "/properties/buildTimeoutInMinutes" for found in report["diagnostics"])
    assert cli.err == ""


def test_quiet_validate_tells_only_what_is_wrong(cli) -> None:
    assert cli("validate", cli.template("say hello"), "--quiet") == 0
    assert cli.out == "the file is valid\n"


def test_a_plan_says_what_would_be_done(cli) -> None:
    template = cli.template("say one", "say two")
    assert cli("plan", template) == 0
    assert "source: Debian:debian-12:12-gen2:latest (1.2.3)" in cli.out
    assert "starts: with a new machine" in cli.out
    assert "  1  run     Shell step1" in cli.out
    assert "  web-vhd: VHD" in cli.out
    assert cli.out.splitlines()[-1] == "2 steps to run, 0 cached; at most 4 h 00 min"
    assert cli.world.ran == []
    assert cli.world.machines == set()
    assert list((cli.home / "builds").iterdir()) == []


def test_a_plan_knows_what_is_cached(cli) -> None:
    cli("build", cli.template("say one", "say two"), "--cache", "all")
    cli.world.disks.clear()
    assert cli("plan", cli.template("say one", "say three"), "--cache", "all", "--format", "json") == 0
    plan = json.loads(cli.out)
    assert [step["cached"] for step in plan["steps"]] == [True, False]
    assert cli("plan", cli.template("say one", "say two"), "--format", "json") == 0
    plan = json.loads(cli.out)
    assert [step["cached"] for step in plan["steps"]] == [True, True]
    assert plan["resumesAfter"] == 2
    assert plan["source"]["version"] == "1.2.3"
    assert cli("plan", cli.template("say one", "say two"), "--no-cache", "--format", "json") == 0
    assert json.loads(cli.out)["resumesAfter"] is None


def test_a_plan_that_validates_the_source_only(cli) -> None:
    checks = [{"type": "Shell", "name": "look", "inline": ["say checked"]}]
    template = cli.template("say one", validate={"sourceValidationOnly": True, "inVMValidations": checks})
    assert cli("plan", template) == 0
    assert "validators: look" in cli.out
    assert not any(word in cli.out for word in ("steps:", "creates:", "deprovision", "VHD"))
    assert "nothing is created" in cli.out.splitlines()[-1]
    assert cli("plan", template, "--format", "json") == 0
    plan = json.loads(cli.out)
    assert (plan["sourceValidationOnly"], plan["steps"], plan["targets"], plan["finish"]) == (True, [], [], [])


def test_who_forgets_the_platform_of_an_option_is_told(cli) -> None:
    template = cli.template("say one")
    assert cli("plan", template, "--zone", "1", "--spot", "--location", "westeurope", "--subscription", "s") == 0
    told = [line for line in cli.err.splitlines() if "has no effect" in line]
    assert len(told) == 2
    assert "`--zone` has no effect on the platform `local`" in told[0]
    assert "`--spot`" in told[1]


def test_a_plan_that_the_platform_refuses(cli) -> None:
    cli.world.diagnostics.append(Diagnostic(Severity.ERROR, "no", "not here", Origin("web.json", 1, 1), "elsewhere"))
    assert cli("plan", cli.template("say hello")) == 2
    assert "error: not here [no]" in cli.err
    assert cli.out == ""


def test_a_placeholder_is_a_warning_for_validate_and_an_error_for_plan(cli) -> None:
    text = Path(cli.template("say hello")).read_text().replace('"westeurope"', '"<region>"')
    Path("web.json").write_text(text)
    assert cli("validate", "web.json") == 0
    assert "warning: " in cli.out
    assert cli("plan", "web.json") == 2


def test_the_cache_is_listed_and_pruned(cli) -> None:
    assert cli("cache", "list") == 0
    assert cli.out.splitlines()[-1] == "0 checkpoints, 0 B"
    cli("build", cli.template("say one", "say two"), "--cache", "all")
    assert cli("cache", "list") == 0
    assert cli.out.splitlines()[-1] == "3 checkpoints, 192 MiB"
    assert "web after 2 step2" in cli.out
    assert cli("cache", "list", "--format", "json") == 0
    assert {len(each["key"]) for each in json.loads(cli.out)} == {64}
    assert cli("cache", "prune") == 0
    assert cli.out == "nothing is over the limits\n"
    assert cli("cache", "prune", "--cache-size", "100M") == 0
    assert cli.out.splitlines()[-1] == "2 checkpoints deleted, 128 MiB freed"
    assert len(cli.world.checkpoints) == 1


def test_a_build_keeps_to_the_limits(cli) -> None:
    assert cli("build", cli.template("say one"), "--cache", "all", "--cache-size", "64MiB") == 0
    assert len(cli.world.checkpoints) == 1


def test_doctor(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    import memory_platform

    from imagewright.core.report import Check, Verdict
    from imagewright.platforms import PLATFORMS

    found = [Check("qemu", Verdict.GOOD, "9.0"), Check("disk", Verdict.POOR, "3 GiB free", "free some")]
    monkeypatch.setattr(memory_platform, "checks", lambda settings: found, raising=False)
    monkeypatch.setitem(PLATFORMS, "local", replace(PLATFORMS["local"], checks="memory_platform:checks"))
    assert cli("doctor") == 0
    assert cli.out.splitlines() == [
        "good  qemu  9.0",
        "poor  disk  3 GiB free",
        "      hint: free some",
        "this machine can build",
    ]
    found.append(Check("kvm", Verdict.BAD, "missing"))
    assert cli("doctor") == 6
    assert cli("doctor", "--format", "json") == 6
    assert [check["verdict"] for check in json.loads(cli.out)] == ["good", "poor", "bad"]


def test_version(cli) -> None:
    for words in (["version"], ["--version"]):
        assert cli(*words) == 0
        assert cli.out.startswith("imagewright ")
