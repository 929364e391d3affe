"""The clean-up step of a job whose build has not ended: it was told to, and is still deleting, or hangs."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path

import memory_platform
import pytest
from manual_clock import ManualClock

from imagewright.core.clock import SystemClock
from imagewright.core.ownership import Owned
from imagewright.engine.build_directory import occupied
from imagewright.engine.ledger import Ledger, pending
from imagewright.entry import pipeline_cleanup
from imagewright.entry.github import GitHub
from imagewright.entry.pipeline import NOTED, Job
from imagewright.platforms import PLATFORMS
from imagewright.render.excerpt import Excerpts
from imagewright.render.pipeline import PipelineLog
from imagewright.render.redact import Redact


class DyingBuild(ManualClock):
    """A build of this job. It owns a machine after `owns` seconds, and its process ends after `ends` seconds."""

    def __init__(self, temp: Path, home: Path, owns: float, ends: float) -> None:
        super().__init__()
        self.held = ExitStack()
        self.place = self.held.enter_context(occupied(home, "mine"))
        self.ledger = Ledger(self.place.ledger)
        self.held.callback(self.ledger.close)
        self.owns, self.ends = owns, ends
        (temp / NOTED).write_text(f"{self.place.ledger}\n")

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if self.passed >= self.owns and not self.ledger.pending():
            self.ledger.own(Owned("memory", "machine", "machine-1"))
        if self.passed >= self.ends:
            self.held.close()
            self.owns = float("inf")


def clean_up(build: DyingBuild | SystemClock, temp: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(PLATFORMS, "memory", memory_platform.entry())
    runner = GitHub({"RUNNER_TEMP": str(temp), "INPUT_PLATFORM": "local"})
    show = Redact()
    log = PipelineLog(sys.stdout, build, Excerpts(mask=show.text), runner.dialect, workspace=temp, verbose=False)
    show.join(log)
    with build.held if isinstance(build, DyingBuild) else nullcontext():
        return Job(runner, show, log, build, temp).cleanup()


@pytest.mark.parametrize("owns", [0.0, 10.0])
def test_a_build_that_dies_slowly_is_waited_for_and_taken_over(
    owns: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = DyingBuild(tmp_path, tmp_path / "home", owns, ends=20.0)
    assert clean_up(build, tmp_path, monkeypatch) == 0
    assert "deleted machine machine-1" in capsys.readouterr().out
    assert pending(build.place.ledger) == ()
    assert 20.0 <= build.passed < 30.0


def test_a_build_that_does_not_end_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = DyingBuild(tmp_path, tmp_path / "home", 0.0, ends=3600.0)
    assert clean_up(build, tmp_path, monkeypatch) == 9
    assert "::error" in (said := capsys.readouterr().out)
    assert "build mine still runs" in said
    assert len(pending(build.place.ledger)) == 1


BUILD = """
import signal, sys
from pathlib import Path
from imagewright.core.ownership import Owned
from imagewright.engine.build_directory import occupied
from imagewright.engine.ledger import Ledger
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with occupied(Path(sys.argv[1]), "mine") as place:
    Ledger(place.ledger).own(Owned("memory", "machine", "machine-1"))
    print(place.ledger, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("kind", "ended"), [("meek", signal.SIGTERM), ("stubborn", signal.SIGKILL)])
def test_a_build_that_heard_of_nothing_is_ended(
    kind: str, ended: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container, where the runner's signals end at the client of Docker."""
    monkeypatch.setattr(pipeline_cleanup, "DYING_SECONDS", 1.0)
    command = [sys.executable, "-c", BUILD, str(tmp_path / "home"), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        ledger = build.stdout.readline()
        (tmp_path / NOTED).write_text(ledger)
        assert clean_up(SystemClock(), tmp_path, monkeypatch) == 0
        assert build.wait() == -ended
    assert "deleted machine machine-1" in capsys.readouterr().out
    assert pending(Path(ledger.strip())) == ()
