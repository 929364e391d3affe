"""A guest that hangs at its boot is told from one that boots slowly, waits, or has booted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from manual_clock import ManualClock
from scripted_qemu import ScriptedQemu

from imagewright.platforms.local.hang import SILENT_SECONDS, HangWatch, HungError


@pytest.fixture
def watch(qemu: ScriptedQemu, clock: ManualClock, tmp_path: Path) -> HangWatch:
    qemu.halted = (0, 1)
    return HangWatch(qemu.process, tmp_path / "serial.log", clock)


def look(watch: HangWatch, clock: ManualClock, meanwhile: Callable[[], object] = lambda: None) -> None:
    for _ in range(int(SILENT_SECONDS / 10) + 2):
        clock.wait(10)
        meanwhile()
        watch.alive()


def test_one_that_is_busy_with_itself_hangs(watch: HangWatch, clock: ManualClock) -> None:
    with pytest.raises(HungError, match="for 90 s it has only been busy with itself") as caught:
        look(watch, clock)
    assert "--cpus 1" in caught.value.hint


def test_one_that_prints_does_not(watch: HangWatch, clock: ManualClock, tmp_path: Path) -> None:
    def say() -> None:
        with (tmp_path / "serial.log").open("a") as serial:
            serial.write("[    1.2] more")

    look(watch, clock, say)


def test_one_that_reads_does_not(watch: HangWatch, clock: ManualClock, qemu: ScriptedQemu) -> None:
    def read() -> None:
        qemu.reads += 1

    look(watch, clock, read)


def test_one_that_waits_does_not(watch: HangWatch, clock: ManualClock, qemu: ScriptedQemu) -> None:
    qemu.halted = (1, 1)
    look(watch, clock)


def test_once_it_has_booted_it_may_work(watch: HangWatch, clock: ManualClock) -> None:
    watch.booted()
    look(watch, clock)


def test_a_qemu_that_does_not_answer_says_nothing_of_its_guest(
    watch: HangWatch, clock: ManualClock, qemu: ScriptedQemu
) -> None:
    qemu.refuses.add("query-blockstats")
    look(watch, clock)
