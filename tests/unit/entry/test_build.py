from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from imagewright.core.ownership import Owned
from imagewright.engine.build_directory import BuildDirectory
from imagewright.engine.ledger import Ledger, pending


def result(cli) -> dict[str, object]:
    return json.loads((cli.directory / "result.json").read_text())


def test_the_last_line_on_standard_output_is_the_path_of_the_vhd(cli) -> None:
    template = cli.template("say hello")
    assert cli("build", template, "--output", "images") == 0
    assert cli.out == "images/web-vhd.vhd\n"
    assert Path("images/web-vhd.vhd").exists()
    assert "| hello" in cli.err
    assert "build of web succeeded" in cli.err
    assert cli.world.machines == set()


def test_the_result_file_says_what_came_out(cli) -> None:
    assert cli("build", cli.template("say one", "say two"), "--result", "result.json") == 0
    said = result(cli)
    assert said["state"] == "Succeeded"
    assert said["error"] is None
    assert [output["artifactUri"] for output in said["runOutputs"]] == ["out/web-vhd.vhd"]
    assert [(step["name"], step["cached"]) for step in said["steps"]] == [("step1", False), ("step2", False)]
    assert [phase["name"] for phase in said["phases"]] == ["Queued", "Building", "Customizing", "Distributing"]


def test_a_second_build_finds_everything_cached(cli) -> None:
    template = cli.template("say one")
    cli("build", template)
    ran = len(cli.world.ran)
    assert cli("build", template, "--result", "result.json") == 0
    assert len(cli.world.ran) == ran
    assert [step["cached"] for step in result(cli)["steps"]] == [True]


def test_no_cache_uses_nothing_and_keeps_nothing(cli) -> None:
    template = cli.template("say one")
    assert cli("build", template, "--no-cache") == 0
    assert cli.world.checkpoints == {}
    assert cli.world.disks == {}


def test_json_lines_are_the_only_thing_on_standard_output(cli) -> None:
    assert cli("build", cli.template("say ##vso[x]"), "--format", "jsonl") == 0
    events = [json.loads(line) for line in cli.out.splitlines()]
    assert events[0]["event"] == "buildStarted"
    assert events[-1]["event"] == "buildFinished"
    assert {"event": "output", "stream": "stdout", "line": "##vso[x]"}.items() <= next(
        event for event in events if event["event"] == "output"
    ).items()
    assert cli.err == ""


def test_quiet_says_nothing_but_the_result(cli) -> None:
    assert cli("build", cli.template("say hello"), "--quiet") == 0
    assert "hello" not in cli.err
    assert cli.err.startswith("build of web succeeded")
    assert cli.out == "out/web-vhd.vhd\n"


def test_a_failed_step_is_told_with_its_place_and_its_last_words(cli) -> None:
    template = cli.template("say fine", "say no such package\nfail 100")
    assert cli("build", template, "--result", "result.json") == 3
    assert "the script ended with exit code 100, expected 0" in cli.err
    assert re.search(r"--> web\.json:\d+:\d+ {2}/properties/customize/1", cli.err)
    assert '"name": "step2"' in cli.err
    assert "last output:\n  | no such package\n" in cli.err
    assert "hint: " in cli.err
    assert cli.out == ""
    said = result(cli)
    assert said["state"] == "Failed"
    assert said["error"]["exitCode"] == 3
    assert said["error"]["pointer"] == "/properties/customize/1"
    assert said["error"]["output"] == ["no such package"]
    assert cli.world.machines == set()


def test_on_error_abort_keeps_the_machine_until_the_cleanup(cli) -> None:
    assert cli("build", cli.template("fail 1"), "--on-error", "abort") == 3
    assert len(cli.world.machines) == 1
    assert "ssh machine-1" in cli.err
    assert cli("cleanup") == 0
    assert cli.world.machines == set()
    assert cli.out == "1 thing deleted\n"
    assert cli("cleanup") == 0
    assert cli.out == "nothing to clean up\n"


def test_a_target_that_cannot_be_written(cli) -> None:
    cli.world.unwritable.add("web-vhd")
    assert cli("build", cli.template("say hello")) == 5
    assert "web-vhd cannot be written" in cli.err
    assert "hint: try another place" in cli.err


def test_what_is_written_is_said_although_another_target_failed(cli) -> None:
    targets = [{"type": "VHD", "runOutputName": name} for name in ("good", "bad")]
    cli.world.unwritable.add("bad")
    assert cli("build", cli.template("say hello", distribute=targets), "--result", "result.json") == 5
    assert cli.out == "out/good.vhd\n"
    assert result(cli)["state"] == "PartiallySucceeded"
    assert [error["message"] for error in result(cli)["targetErrors"]] == ["bad cannot be written"]


def test_what_could_not_be_deleted_is_said_and_deleted_later(cli) -> None:
    cli.world.stubborn.add("machine")
    assert cli("build", cli.template("say hello"), "--result", "result.json") == 9
    assert "left behind: machine machine-1" in cli.err
    assert result(cli)["leftBehind"] == ["machine machine-1"]
    assert cli("cleanup") == 9
    assert "left behind: machine machine-1: machine-1 is locked" in cli.out
    cli.world.stubborn.clear()
    assert cli("cleanup") == 0
    assert cli.world.machines == set()


def test_a_time_limit_of_ones_own(cli) -> None:
    assert cli("build", cli.template("wait 0.001"), "--timeout", "10") == 0


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cancels_and_leaves_nothing(cli, signal: str) -> None:
    template = cli.template("say started", f"signal {signal}", "say never")
    assert cli("build", template, "--result", "result.json") == 130
    assert f"cancelled by {signal}" in cli.err
    assert "never" not in cli.err
    assert cli.world.machines == set()
    assert result(cli)["state"] == "Canceled"
    assert cli.out == ""


def test_a_defect_is_one_line_and_a_file_without_secrets(cli) -> None:
    template = cli.template("crash swordfish", name="arm.json")
    body = json.loads(Path(template).read_text())
    body["properties"]["customize"][0]["inline"] = ["[concat('crash ', parameters('password'))]"]
    body["name"] = "web"
    arm = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"password": {"type": "securestring"}},
        "resources": [body],
    }
    Path(template).write_text(json.dumps(arm))
    assert cli("build", template, "--set", "password=swordfish", "--result", "result.json") == 1
    assert "Traceback" not in cli.err
    assert "something inside Imagewright went wrong: KeyError" in cli.err
    (crash,) = cli.home.glob("crash-*.txt")
    assert str(crash) in cli.err
    assert "Traceback" in crash.read_text()
    assert stat.S_IMODE(crash.stat().st_mode) == 0o600
    assert result(cli)["state"] == "Failed"
    said = [cli.out, cli.err, *(path.read_text() for path in cli.directory.rglob("*") if path.suffix in LOGS)]
    assert not [text for text in said if "swordfish" in text]


LOGS = {".txt", ".jsonl"}


def test_every_build_leaves_its_log(cli) -> None:
    assert cli("build", cli.template("say hello", "fail 1")) == 3
    (log,) = cli.home.glob("builds/*/log.jsonl")
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[0] == "buildStarted"
    assert events[-1] == "buildFinished"
    assert f"log: {log}" in cli.err
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700


def test_a_log_on_a_full_disk_does_not_end_the_build(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BuildDirectory, "log", property(lambda place: Path("/dev/full")))
    assert cli("build", cli.template("say hello")) == 0
    assert "an output was lost: [Errno 28] No space left on device" in cli.err
    assert "went wrong" not in cli.err


def test_a_wrong_template_is_told_whole_before_anything_runs(cli) -> None:
    template = cli.template("say hello", distribute=[{"type": "VHD"}, {"type": "Floppy", "runOutputName": "x"}])
    assert cli("build", template, "--result", "result.json") == 2
    assert cli.err.count("error: ") >= 2
    assert "the template cannot be built: " in cli.err.splitlines()[-1]
    assert result(cli)["error"]["kind"] == "TemplateError"
    assert cli.world.ran == []


def test_a_wrong_template_is_told_as_events_too(cli) -> None:
    template = cli.template("say hello", distribute=[{"type": "VHD"}])
    assert cli("build", template, "--format", "jsonl") == 2
    assert {json.loads(line)["event"] for line in cli.out.splitlines()} == {"diagnostic"}


def test_a_result_that_cannot_be_written_is_refused_before_the_build(cli) -> None:
    Path("file").write_text("")
    assert cli("build", cli.template("say hello"), "--result", "file/result.json") == 2
    assert "`--result`" in cli.err
    assert cli.world.ran == []


def test_a_result_goes_into_regular_files_alone(cli) -> None:
    template = cli.template("say hello")
    Path("folder").mkdir()
    for place, what in (("folder", "is a directory"), ("/dev/null", "is no regular file")):
        assert cli("build", template, "--result", place) == 2
        assert f"{place} {what}" in cli.err
        assert "hint: name a file" in cli.err
    assert Path("/dev/null").is_char_device()

    Path("link.json").symlink_to("behind.json")
    assert cli("build", template, "--result", "link.json") == 0
    assert Path("link.json").is_symlink()
    assert json.loads(Path("behind.json").read_text())["state"] == "Succeeded"


def test_a_home_that_cannot_be_written_is_refused(cli) -> None:
    Path("file").write_text("")
    assert cli("build", cli.template("say hello"), "--home", "file/home") == 2
    assert "hint: choose another place with `--home`" in cli.err


def test_a_source_disk_replaces_the_source(cli) -> None:
    Path("base.qcow2").write_text("")
    template = cli.template("say hello")
    assert cli("build", template, "--source-disk", "base.qcow2", "--result", "result.json") == 0
    assert str(cli.directory / "base.qcow2") in result(cli)["source"]
    assert cli("build", template, "--source-disk", "none.qcow2") == 2


def test_the_template_may_come_from_standard_input(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    content = Path(cli.template("say hello", "fail 7")).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert cli("build", "-") == 3
    assert '"name": "step2"' in cli.err


def test_one_of_several_templates_is_chosen_by_name(cli) -> None:
    first, second = (
        json.loads(Path(cli.template(f"say {name}")).read_text()) | {"name": name} for name in ("a", "b")
    )
    arm = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [first, second],
    }
    Path("arm.json").write_text(json.dumps(arm))
    assert cli("build", "arm.json") == 2
    assert "choose one with `--name`: `a`, `b`" in cli.err
    assert cli("build", "arm.json", "--name", "c") == 2
    assert cli("build", "arm.json", "--name", "b") == 0
    assert "build of b succeeded" in cli.err


def test_a_build_that_is_alive_is_not_swept(cli) -> None:
    from imagewright.engine.build_directory import occupied

    with occupied(cli.home, "20260301-120000-abcdef") as place:
        owned = Owned("memory", "machine", "machine-9")
        cli.world.machines.add(owned.id)
        ledger = Ledger(place.ledger)
        ledger.own(owned)
        ledger.close()
        assert cli("cleanup") == 0
        assert "build 20260301-120000-abcdef is still running" in cli.out
        assert cli.world.machines == {"machine-9"}
        assert cli("cleanup", "--older-than", "1h", "--force") == 0
        assert cli.world.machines == {"machine-9"}
        assert cli("cleanup", "--force") == 0
        assert cli.world.machines == set()
        assert pending(place.ledger) == ()


def test_a_ledger_by_name(cli) -> None:
    Path("lost").mkdir()
    ledger = Ledger(Path("lost/ledger.jsonl"))
    ledger.own(Owned("memory", "machine", "machine-7"))
    ledger.own(Owned("mars", "machine", "machine-8"))
    ledger.close()
    cli.world.machines.add("machine-7")
    assert cli("cleanup", "--ledger", "lost/ledger.jsonl") == 9
    assert cli.world.machines == set()
    assert "left behind: machine machine-8: there is no platform `mars`" in cli.out
    assert cli("cleanup", "--ledger", "nowhere.jsonl") == 2
    Path("log.jsonl").write_text('{"time": "2026", "event": "note"}\n')
    assert cli("cleanup", "--ledger", "log.jsonl") == 2
    assert "log.jsonl is no ledger" in cli.err


def test_only_the_newest_finished_builds_keep_their_log(cli) -> None:
    from imagewright.engine.build_directory import REMEMBERED, all_of

    template = cli.template("say hello")
    for _ in range(3):
        cli("build", template, "--quiet")
    from imagewright.engine.build_directory import forget

    forget(cli.home, remembered=1)
    assert len(all_of(cli.home)) == 1
    assert REMEMBERED > 1
