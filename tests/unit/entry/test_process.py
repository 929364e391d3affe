"""The command line as a process: what only shows there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagewright.entry.cli import main

FAKES = Path(__file__).parents[2] / "fakes"
WITH_MEMORY = f"""
import sys
sys.path.insert(0, {str(FAKES)!r})
import memory_platform
from imagewright.platforms import PLATFORMS
PLATFORMS["local"] = PLATFORMS["memory"] = memory_platform.entry()
from imagewright.entry.start import command_line
sys.exit(command_line())
"""
"""By the door that users take: it answers signals from the first line to the last."""

PROBE = "import sys; from imagewright.entry.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"


def imagewright(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITH_MEMORY, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )


def test_help_imports_nothing_that_takes_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stderr.split())
    assert not loaded & {"pydantic", "paramiko", "rich", "yaml", "argparse", "dataclasses", "imagewright.options"}
    assert "imagewright COMMAND" in done.stdout


def test_validate_imports_no_machinery(cli) -> None:
    template = cli.template("say hello")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "validate", template], capture_output=True, text=True, timeout=60, check=True
    )
    assert not set(done.stderr.split()) & {"paramiko", "rich", "azure", "imagewright.engine.run"}


def test_the_module_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imagewright", "version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("imagewright ")


def test_data_and_words_are_apart(cli) -> None:
    done = imagewright("build", cli.template("say hello"))
    assert (done.returncode, done.stdout) == (0, "out/web-vhd.vhd\n")
    assert "build of web succeeded" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(cli) -> None:
    template = cli.template("say hello", *(["say more"] * 30))
    build = ["build", template]
    for command in (["validate", template], build, [*build, "--format", "jsonl"], ["--help"], ["build", "--help"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-c", WITH_MEMORY, *command],
            check=False,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        os.close(write)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr


def test_a_poor_locale_is_no_error(cli) -> None:
    poor = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    environment = os.environ | poor
    done = imagewright("build", cli.template("say größe ✓"), env=environment)
    assert done.returncode == 0, done.stderr
    assert "gr\\xf6\\xdfe" in done.stderr


def test_a_signal_from_outside_cancels(cli) -> None:
    template = cli.template("say started", *(["wait 0.2"] * 200))
    said = []
    with subprocess.Popen(
        [sys.executable, "-c", WITH_MEMORY, "build", template],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "| started" in line:
                process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
    assert process.returncode == 130
    assert "cancelled by SIGTERM" in "".join(said)


def test_a_defect_before_the_options_are_read_is_no_traceback_either(
    cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import imagewright.entry.arguments as arguments

    monkeypatch.setenv("HOME", str(cli.directory))
    monkeypatch.setattr(arguments, "rows", lambda command: 1 / 0)
    assert main(["version"]) == 1
    assert list((cli.directory / ".local/share/imagewright").glob("crash-*.txt"))
    assert "something inside Imagewright went wrong: ZeroDivisionError" in capsys.readouterr().err


def test_a_closed_standard_input_is_an_error() -> None:
    done = imagewright("validate", "-", preexec_fn=lambda: os.close(0))

    assert done.returncode == 2
    assert "standard input is closed" in done.stderr
    assert "crash" not in done.stderr


def test_a_full_disk_behind_the_output_is_an_error(cli) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imagewright", "validate", cli.template("true")],
            check=False, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip

    assert done.returncode == 6
    assert "the output cannot be written: No space left on device" in done.stderr
    assert "Exception ignored" not in done.stderr


def test_help_that_cannot_be_printed_is_an_error_and_closed_output_is_none() -> None:
    command = [sys.executable, "-m", "imagewright", "--help"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (6, False)
    assert "the output cannot be written: No space left on device" in done.stderr
    done = imagewright("--help", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_too_long_for_a_template_is_not_read_to_its_end() -> None:
    with Path("/dev/zero").open("rb") as endless:
        done = imagewright("validate", "-", stdin=endless)

    assert done.returncode == 2
    assert "larger than 4 MiB" in done.stdout


def test_a_closed_output_is_no_error_either(cli) -> None:
    for closed in (1, 2):
        done = imagewright("build", cli.template("say hello"), preexec_fn=lambda number=closed: os.close(number))
        assert done.returncode == 0
        assert "Traceback" not in done.stderr


def test_pipes_are_read_once_and_what_has_no_end_not_at_all(cli) -> None:
    done = imagewright("validate", "/dev/zero")
    assert (done.returncode, "larger than 4 MiB" in done.stdout) == (2, True)

    os.mkfifo("pipe.json")
    with subprocess.Popen(["sh", "-c", "echo '{\"properties\": 3}' >pipe.json"]):
        done = imagewright("validate", "pipe.json")
    assert done.returncode == 2
    assert "--> pipe.json:1:" in done.stdout


def test_without_a_home_directory_what_needs_none_works(
    cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("IMAGEWRIGHT_HOME")
    assert cli("validate", cli.template("say hello")) == 0
    for command in (["cache", "list"], ["build", "web.json"], ["cleanup"]):
        assert cli(*command) == 2
        assert "there is no home directory" in cli.err
        assert "hint: set HOME, or choose a place with `--home`" in cli.err
    assert cli("build", "web.json", "--home", "here") == 0
    assert not Path("~").exists()


def test_a_working_directory_that_is_gone_is_an_error(cli) -> None:
    Path("gone").mkdir()
    done = imagewright("cleanup", "--home", "h", cwd="gone", preexec_fn=lambda: Path.cwd().rmdir())
    assert done.returncode == 2
    assert "the working directory is gone" in done.stderr
