from __future__ import annotations

import threading
from dataclasses import replace
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
from imagewright.core.plan import ExactSource, Generation, ManagedImageTarget, OsType, Plan, Target, VhdTarget
from imagewright.core.ports import LONGEST_TAG, SOURCE_TAG, source_tag
from imagewright.core.result import RunOutput
from imagewright.engine.distribute import Distributed, distribute
from imagewright.engine.ledger import Ledger
from imagewright.engine.scope import Scope
from imagewright.platforms import Settings
from imagewright.platforms.elsewhere import Elsewhere

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


def write(platform: Publisher, deadline: Deadline, plan: Plan = PLAN) -> Distributed:
    ledger = Ledger(platform._settings.home / "ledger.jsonl")
    scope = Scope(ledger, platform.delete, lambda event: None, ManualClock())
    source = platform.resolve(plan.source, plan, deadline)
    try:
        return distribute(plan, DISK, source, platform, scope, deadline)
    finally:
        ledger.close()


def test_every_image_is_tagged_with_its_source(tmp_path: Path, deadline: Deadline) -> None:
    image = ManagedImageTarget("a", "/images/a", "westeurope", tags=(("team", "web"), (SOURCE_TAG, "a lie")))
    platform = Publisher(tmp_path)
    identity = platform.resolve(PLAN.source, PLAN, deadline).identity
    elsewhere = Elsewhere(Publisher(tmp_path / "builder"), platform)
    assert elsewhere.built_from(image, deadline) == ""
    write(platform, deadline, replace(PLAN, targets=(image,)))
    assert platform._world.images["/images/a"] == {"team": "web", SOURCE_TAG: identity}
    assert elsewhere.built_from(image, deadline) == identity
    assert elsewhere.built_from(VhdTarget("b"), deadline) is None


def test_an_identity_that_is_too_long_for_a_tag(tmp_path: Path, deadline: Deadline) -> None:
    source = Publisher(tmp_path).resolve(PLAN.source, PLAN, deadline)
    long = [source_tag(replace(source, identity="x" * 300 + end)) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= LONGEST_TAG


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
