from __future__ import annotations

import re
from datetime import UTC

import pytest
from manual_clock import ManualClock

from imagewright.core.clock import Deadline, SystemClock, fresh_name
from imagewright.core.errors import BuildTimeoutError, CancelledError, PlatformError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_deadline_passes(clock: ManualClock) -> None:
    deadline = Deadline.after(clock, 10.0, "the boot", "look at the log")
    deadline.check()
    clock.wait(4.0)
    assert (deadline.remaining(), deadline.passed()) == (6.0, False)
    clock.wait(6.0)
    assert (deadline.remaining(), deadline.passed()) == (0.0, True)
    with pytest.raises(BuildTimeoutError, match="the boot took too long") as caught:
        deadline.check()
    assert caught.value.hint == "look at the log"


def test_waiting_ends_at_the_deadline(clock: ManualClock) -> None:
    deadline = Deadline.after(clock, 10.0, "the boot")
    deadline.wait(4.0)
    with pytest.raises(BuildTimeoutError):
        deadline.wait(60.0)
    assert clock.passed == 10.0


def test_a_sooner_deadline_has_its_own_words_and_error(clock: ManualClock) -> None:
    build = Deadline.after(clock, 100.0, "the build")
    boot = build.sooner(10.0, "the boot", "look at the log", PlatformError)
    clock.wait(10.0)
    with pytest.raises(PlatformError, match="the boot took too long"):
        boot.check()
    build.check()


def test_a_deadline_is_never_made_later(clock: ManualClock) -> None:
    build = Deadline.after(clock, 10.0, "the build")
    assert build.sooner(100.0, "the boot", error=PlatformError) is build


def test_deadlines_made_from_one_another_are_cancelled_together(clock: ManualClock) -> None:
    build = Deadline.after(clock, 100.0, "the build")
    boot = build.sooner(10.0, "the boot", error=PlatformError)
    build.stop.set()
    for deadline in (build, boot):
        with pytest.raises(CancelledError):
            deadline.check()


def test_others_are_not(clock: ManualClock) -> None:
    one, other = Deadline.after(clock, 1.0, "one"), Deadline.after(clock, 1.0, "other")
    one.stop.set()
    other.check()


def test_the_clock_of_the_system() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.wait(0.0)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC


def test_fresh_names_differ_and_suit_every_cloud() -> None:
    names = {fresh_name() for _ in range(200)}
    assert len(names) == 200
    assert all(re.fullmatch(r"[a-z][a-z0-9]{11}", name) for name in names)
    assert len(fresh_name(6)) == 6
