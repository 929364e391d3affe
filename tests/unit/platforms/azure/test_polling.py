"""Waiting: as asked, quick at first and slower later, never past the end of the build."""

from __future__ import annotations

from itertools import accumulate, islice, pairwise, takewhile

import pytest
from manual_clock import ManualClock

from imagewright.core.clock import Deadline
from imagewright.core.errors import BuildTimeoutError, CancelledError
from imagewright.platforms.azure.polling import quick_then_slow, wait_as_asked


def test_the_first_looks_come_soon_and_later_ones_seldom() -> None:
    pauses = list(islice(quick_then_slow(), 40))
    assert pauses[0] < 0.5
    assert sum(pauses[:6]) < 10
    assert max(pauses) == 15.0
    assert all(after >= before for before, after in pairwise(pauses))
    looks = list(takewhile(lambda moment: moment < 17, accumulate(pauses)))
    assert len(looks) < 18, "what lasts 17 s is not asked after every second"


def test_a_wait_that_the_build_cannot_afford_is_refused_at_once() -> None:
    clock = ManualClock()
    deadline = Deadline.after(clock, 300, "the build")
    with pytest.raises(BuildTimeoutError, match="1200 s"):
        wait_as_asked(1200, deadline)
    assert clock.passed == 0
    wait_as_asked(30, deadline)
    assert clock.passed == pytest.approx(30)


def test_a_cancelled_build_stops_in_the_middle_of_a_wait() -> None:
    clock = ManualClock()
    deadline = Deadline.after(clock, 300, "the build")

    class Stopping(ManualClock):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            if self.passed > 2:
                deadline.stop.set()

    stopping = Stopping()
    with pytest.raises(CancelledError):
        wait_as_asked(60, Deadline(stopping, 300, "the build", stop=deadline.stop))
    assert stopping.passed < 3
