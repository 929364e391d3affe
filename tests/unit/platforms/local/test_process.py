from __future__ import annotations

from pathlib import Path

import pytest
from manual_clock import ManualClock
from owner import Owner
from scripted_qemu import ScriptedQemu

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import CancelledError
from imagewright.platforms.local import process
from imagewright.platforms.local.command import MachineConfig
from imagewright.platforms.local.host import HostError


def test_a_guest_that_runs_is_alive(qemu: ScriptedQemu, clock: ManualClock) -> None:
    clock.wait(2)
    qemu.process.alive()


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [("io-error", "no space is left", "free some space"), ("internal-error", "accelerator", "tcg")],
)
def test_a_guest_that_qemu_keeps_stopped_is_not(
    qemu: ScriptedQemu, clock: ManualClock, status: str, reason: str, hint: str
) -> None:
    """It would hang without a word until the build's timeout."""
    qemu.status = status
    clock.wait(2)
    with pytest.raises(HostError, match=reason) as caught:
        qemu.process.alive()
    assert hint in caught.value.hint


def test_qemu_is_asked_once_a_second_at_most(qemu: ScriptedQemu, clock: ManualClock) -> None:
    clock.wait(2)
    qemu.process.alive()
    qemu.status = "io-error"
    qemu.process.alive()
    clock.wait(1.5)
    with pytest.raises(HostError):
        qemu.process.alive()


def test_an_end_that_was_not_the_guests_is_none(qemu: ScriptedQemu) -> None:
    """Else a disk that was not unmounted would be an image."""
    qemu.die()
    with pytest.raises(HostError, match="QEMU ended with signal 9"):
        qemu.process.wait_end(Deadline.after(SystemClock(), 60, "the end"))


def test_the_guests_own_end_is_one(qemu: ScriptedQemu) -> None:
    qemu.power_off()
    qemu.process.wait_end(Deadline.after(SystemClock(), 60, "the end"))


def test_the_last_words_of_a_dead_qemu_are_told(qemu: ScriptedQemu, tmp_path: Path) -> None:
    (tmp_path / "qemu.log").write_text("first\ncould not allocate\n\n")
    qemu.die()
    with pytest.raises(HostError, match="QEMU ended with signal 9: could not allocate") as caught:
        qemu.process.alive()
    assert "out-of-memory killer" in caught.value.hint


def start(folder: Path, body: str, deadline: Deadline) -> None:
    binary = folder / "qemu"
    binary.write_text(f"#!/bin/sh\n{body}\n")
    binary.chmod(0o755)

    def configure(monitor: int) -> MachineConfig:
        return MachineConfig(
            "test", str(binary), (), "max", 1, 16, (), folder / "seed", monitor, 0, folder / "s", folder / "pid"
        )

    process.start(configure, folder, Owner(), deadline)


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(SystemClock(), seconds, "the start")


def test_a_qemu_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="QEMU ended with exit code 1: no such machine"):
        start(tmp_path, "echo no such machine >&2; exit 1", soon())


def test_a_start_that_is_cancelled_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    deadline = soon()
    deadline.stop.set()
    with pytest.raises(CancelledError):
        start(tmp_path, "while :; do :; done", deadline)
    assert not process._pids(str(tmp_path / "pid"))
