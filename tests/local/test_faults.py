"""What goes wrong in and around a build VM: a clear error each time, nothing lost, nothing left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagewright.core.choices import Keep
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.events import Event, Output
from imagewright.core.result import BuildResult, RunState
from imagewright.engine.ledger import Ledger
from imagewright.engine.resume import CachePolicy
from imagewright.engine.run import build
from imagewright.engine.waiting import backoff, poll
from imagewright.platforms import Settings, load
from imagewright.staging.directory import DirectoryStaging
from imagewright.template import plans

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(2400)]

CLOCK = SystemClock()


def machines(home: Path) -> list[int]:
    """The build VMs that run for this home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if entry.name.isdigit() and "-pidfile" in words and f"{home}/builds/" in words:
            found.append(int(entry.name))
    return found


def leftovers(home: Path) -> list[Path]:
    return list((home / "builds").glob("*/machine-*"))


@pytest.fixture(autouse=True)
def nothing_is_left(home: Path) -> Iterator[None]:
    before = set(machines(home)), set(leftovers(home))
    yield
    assert set(machines(home)) <= before[0]
    assert set(leftovers(home)) <= before[1]


def test_a_failing_step_names_its_place_and_the_next_build_resumes(
    imagewright: Callable, template: Callable[..., Path], unique: str
) -> None:
    path = template(f"sleep 3; echo {unique}", "echo about to fail\nexit 7")
    failed = imagewright("build", path)
    assert failed.code == 3
    assert "exit code 7" in failed.err
    assert "about to fail" in failed.err
    assert re.search(r"image\.json:\d+:\d+", failed.err)
    error = failed.result["error"]
    assert error["exitCode"] == 3 if "exitCode" in error else True
    assert failed.result["state"] == "Failed"

    template(f"sleep 3; echo {unique}", "echo mended")
    mended = imagewright("build", path)
    assert mended.code == 0, mended.err
    assert mended.cached == [True, False]


@dataclasses.dataclass
class Ran:
    result: BuildResult
    events: list[Event]

    @property
    def said(self) -> list[str]:
        return [event.line for event in self.events if isinstance(event, Output)]

    @property
    def message(self) -> str:
        return self.result.failure.message if self.result.failure else ""


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Callable[..., Ran]:
    """Builds in this process, with a timeout of seconds and a look at every event."""

    def call(path: Path, *, timeout: float = 1200.0, watch: Callable[[Event], None] = lambda _: None) -> Ran:
        (plan,), _ = plans(str(path))
        events: list[Event] = []

        def emit(event: Event) -> None:
            events.append(event)
            watch(event)

        work = home / "builds" / f"test-{os.getpid()}-{len(list(tmp_path.iterdir()))}-{path.stem}"
        ledger = Ledger(work / "ledger.jsonl")
        settings = Settings(home=home, work=work, output=tmp_path / "out")
        result = build(
            dataclasses.replace(plan, timeout=timeout),
            platform=load("local", settings, emit, CLOCK),
            staging=DirectoryStaging(work / "staging"),
            ledger=ledger,
            emit=emit,
            clock=CLOCK,
            policy=CachePolicy(keep=Keep.AUTO),
            build_id="test",
        )
        assert ledger.pending() == ()
        ledger.close()
        return Ran(result, events)

    return call


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sudo systemctl reboot; sleep 600", "disconnected unexpectedly"),
        ("sudo pkill -9 sshd; sleep 600", "disconnected unexpectedly"),
        ("sudo dd if=/dev/zero of=/filler bs=1M; echo not reached", "exit code 1"),
        ("exec 0<&-; kill -9 $$", "exit code 137"),
    ],
    ids=["reboots", "kills sshd", "fills the disk", "dies"],
)
def test_a_script_that_does_harm(
    run: Callable[..., Ran], template: Callable[..., Path], script: str, reason: str
) -> None:
    ran = run(template(script))
    assert ran.result.state is RunState.FAILED
    assert reason in ran.message
    assert ran.result.failure is not None
    assert ran.result.failure.exit_code == 3
    assert ran.result.failure.hint


def test_a_script_that_prints_a_hundred_megabytes(run: Callable[..., Ran], template: Callable[..., Path]) -> None:
    count = [0]

    def watch(event: Event) -> None:
        if isinstance(event, Output):
            count[0] += len(event.line) + 1

    ran = run(template("head -c 104857600 /dev/zero | tr '\\0' x | fold -w 4095; exit 9"), watch=watch)
    assert "exit code 9" in ran.message
    assert count[0] >= 100 << 20


def test_a_script_that_hangs_past_the_timeout(run: Callable[..., Ran], template: Callable[..., Path]) -> None:
    ran = run(template("echo before; sleep 3600"), timeout=90.0)
    assert ran.result.failure is not None
    assert ran.result.failure.exit_code == 7
    assert "buildTimeoutInMinutes" in ran.message


def test_a_machine_that_dies(run: Callable[..., Ran], template: Callable[..., Path], home: Path) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, Output) and event.line == "now":
            for pid in machines(home):
                os.kill(pid, signal.SIGKILL)

    ran = run(template("echo now; sleep 3600"), watch=watch)
    assert ran.result.state is RunState.FAILED
    assert "the build VM is gone: QEMU ended with signal 9" in ran.message
    assert ran.result.failure is not None
    assert ran.result.failure.exit_code == 6


def test_after_a_resume_the_clock_is_right_and_the_random_pool_is_fresh(
    run: Callable[..., Ran], template: Callable[..., Path], unique: str
) -> None:
    look = "date +time=%s; cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | od -An -tx1; exit 5"
    seen = []
    for attempt in ("first", "second"):
        ran = run(template(f"sleep 3; echo {unique}", f"echo {attempt}\n{look}"))
        told = [line for line in ran.said if line.startswith("time=")]
        assert abs(int(told[0].removeprefix("time=")) - CLOCK.now().timestamp()) < 30
        seen.append(ran.said[-2:])
    assert set(seen[0]).isdisjoint(seen[1])


def test_a_damaged_checkpoint_is_passed_over(
    imagewright: Callable, template: Callable[..., Path], home: Path, unique: str
) -> None:
    path = template(f"sleep 3; echo {unique}", "echo one")
    assert imagewright("build", path).code == 0
    for meta in (home / "checkpoints").glob("*/meta.json"):
        said = json.loads(meta.read_text())
        if said["note"].startswith("image after") and said["kind"] == "machine":
            victim = meta.parent / "ram"
            with victim.open("r+b") as file:
                file.seek(victim.stat().st_size // 2)
                file.write(b"damage")
    template(f"sleep 3; echo {unique}", "echo two")
    again = imagewright("build", path)
    assert again.code == 0, again.err
    assert "is passed over" in again.err
    assert again.cached == [False, False]


@dataclasses.dataclass
class Running:
    """A build as a process of its own, and what it has said so far."""

    process: subprocess.Popen[str]
    seen: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def until(self, moment: Callable[[dict[str, Any]], bool]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(json.loads(line))
            if moment(self.seen[-1]):
                return
        pytest.fail(f"the moment did not come: {self.seen[-3:]}")

    def end(self, number: int) -> int:
        """Send a signal and take the exit code; what is said meanwhile is read, so that nothing waits for us."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.seen.extend(json.loads(line) for line in self.process.stdout)
        return self.process.wait()


@pytest.fixture
def begin(home: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    begun: list[Running] = []

    def call(path: Path, *words: str) -> Running:
        given = ["build", path, "--format", "jsonl", "--home", home, "--output", tmp_path / "out", *words]
        command = [sys.executable, "-m", "imagewright", *map(str, given)]
        begun.append(Running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)))
        return begun[-1]

    yield call
    for running in begun:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()


def phase(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "phaseStarted" and event["phase"] == name


def step(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "stepStarted" and event["kind"] == kind


def exporting(event: dict[str, Any]) -> bool:
    return event["event"] == "progress" and 0 < event["done"] < event["total"]


def booting(event: dict[str, Any]) -> bool:
    return event["event"] == "note" and event["message"].startswith("booting ")


def half(home: Path) -> set[Path]:
    """Checkpoints that were begun and are neither finished nor kept for what lies on them."""
    begun = {path.parent for path in (home / "checkpoints").glob("*/parent")}
    return {path for path in begun if not (path / "meta.json").exists() and not (path / "layers.json").exists()}


@pytest.mark.parametrize(
    "moments",
    [
        [phase("Building")],
        [step("customizer")],
        [step("deprovision")],
        [phase("Distributing")],
        [phase("Distributing"), exporting],
    ],
    ids=["building", "in a step", "deprovisioning", "distributing", "in mid-export"],
)
def test_killed_without_warning_then_cleaned_up_and_built_again(
    imagewright: Callable,
    begin: Callable[..., Running],
    template: Callable[..., Path],
    home: Path,
    tmp_path: Path,
    unique: str,
    moments: list[Callable[[dict[str, Any]], bool]],
) -> None:
    path = template(f"sleep 1; echo {unique}")
    running = begin(path)
    for moment in moments:
        running.until(moment)
    assert running.end(signal.SIGKILL) == -signal.SIGKILL

    assert imagewright("cleanup").code == 0
    assert not machines(home)
    assert not leftovers(home)
    again = imagewright("build", path)
    assert again.code == 0, again.err
    assert Path(again.last_line).exists()
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["image.vhd"]


@pytest.mark.parametrize("moment", ["booting", "in a step"])
def test_interrupted_it_leaves_nothing_running_and_nothing_half_written(
    begin: Callable[..., Running],
    template: Callable[..., Path],
    home: Path,
    tmp_path: Path,
    unique: str,
    moment: str,
) -> None:
    before = half(home)
    path = template(f"echo {unique}; echo now; sleep 3600")
    if moment == "booting":
        running = begin(path, "--no-cache")
        running.until(booting)
        poll(lambda: machines(home) or None, Deadline.after(CLOCK, 60, "the start of QEMU"), backoff(0.05))
    else:
        running = begin(path)
        running.until(lambda event: event["event"] == "output" and event["line"] == "now")
    from_ = CLOCK.monotonic()
    assert running.end(signal.SIGINT) == 130
    assert CLOCK.monotonic() - from_ < 10
    assert running.seen[-1]["result"]["state"] == "Canceled"
    assert not machines(home)
    assert not leftovers(home)
    assert half(home) <= before
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_full_disk_of_this_machine_is_told_soon(template: Callable[..., Path], home: Path, tmp_path: Path) -> None:
    """QEMU stops the guest then, which would hang without a word until the build's timeout."""
    (home / "builds").mkdir(parents=True, exist_ok=True)
    path = template("sudo dd if=/dev/urandom of=/filler bs=1M count=1000; sync; echo not reached")
    result = tmp_path / "result.json"
    small = 'mount -t tmpfs -o size=200m tmpfs "$1"; shift; exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--mount", "--map-root-user", "sh", "-ec", small, "sh", home / "builds"),
            *(sys.executable, "-m", "imagewright", "build", path, "--home", home),
            *("--output", tmp_path / "out", "--result", result),
        ],
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert "no space is left" in done.stderr
    assert "free some space" in done.stderr
    assert "not reached" not in done.stderr
    assert json.loads(result.read_text())["state"] == "Failed"


def test_two_builds_at_once_share_the_cache(
    imagewright: Callable, template: Callable[..., Path], unique: str
) -> None:
    one = template(f"sleep 3; echo {unique}", "echo one", name="one")
    two = template(f"sleep 3; echo {unique}", "echo two", name="two")
    done = {}
    threads = [
        threading.Thread(target=lambda path=path: done.__setitem__(path.stem, imagewright("build", path)))
        for path in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: built.code for name, built in done.items()} == {"one": 0, "two": 0}, done
    assert imagewright("build", one).cached == [True, True]
