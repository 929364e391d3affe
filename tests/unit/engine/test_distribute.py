from __future__ import annotations

import threading
from pathlib import Path

import pytest
from manual_clock import ManualClock
from memory_platform import MemoryPlatform, World
from small_plan import small_plan

from imagewright.core.clock import Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import CancelledError, DistributionError
from imagewright.core.origin import Origin
from imagewright.core.ownership import Owner
from imagewright.core.plan import ExactSource, Generation, OsType, Plan, Target, VhdTarget
from imagewright.core.result import RunOutput
from imagewright.engine.distribute import Distributed, distribute
from imagewright.engine.ledger import Ledger
from imagewright.engine.scope import Scope
from imagewright.platforms import Settings

DISK = Disk("memory:disk", "raw", 1 << 30, OsType.LINUX, Generation.V2)
PLAN = small_plan(targets=tuple(VhdTarget(name, origin=Origin("web.json", 40 + at)) for at, name in enumerate("abc")))


class Publisher(MemoryPlatform):
    """Nobody is done before `together` targets are being written."""

    def __init__(self, folder: Path, together: int = 1) -> None:
        settings = Settings(home=folder, work=folder, output=folder)
        super().__init__(settings, lambda event: None, ManualClock(), World())
        self._together = threading.Barrier(together)

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        self._together.wait(timeout=20)
        if target.run_output_name in self._world.stubborn:
            raise CancelledError("the build was cancelled")
        return super().publish(disk, target, source, plan, owner, deadline)


def write(platform: Publisher, deadline: Deadline) -> Distributed:
    ledger = Ledger(platform._settings.home / "ledger.jsonl")
    scope = Scope(ledger, platform.delete, lambda event: None, ManualClock())
    source = platform.resolve(PLAN.source, PLAN, deadline)
    try:
        return distribute(PLAN, DISK, source, platform, scope, deadline)
    finally:
        ledger.close()


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(ManualClock(), 60.0, "the build")


def test_all_targets_are_written_at_once_and_told_in_the_order_of_the_template(
    tmp_path: Path, deadline: Deadline
) -> None:
    done = write(Publisher(tmp_path, together=3), deadline)
    assert [output.name for output in done.outputs] == ["a", "b", "c"]
    assert done.failures == ()
    assert all((tmp_path / f"{name}.vhd").exists() for name in "abc")


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path, deadline: Deadline) -> None:
    platform = Publisher(tmp_path)
    platform._world.unwritable.add("b")
    done = write(platform, deadline)
    assert [output.name for output in done.outputs] == ["a", "c"]
    ((target, error),) = done.failures
    assert target.run_output_name == "b"
    assert isinstance(error, DistributionError)
    assert error.origin == Origin("web.json", 41)


def test_a_cancellation_stops_the_others(tmp_path: Path, deadline: Deadline) -> None:
    platform = Publisher(tmp_path)
    platform._world.stubborn.add("a")
    with pytest.raises(CancelledError):
        write(platform, deadline)
    assert deadline.stop.is_set()
