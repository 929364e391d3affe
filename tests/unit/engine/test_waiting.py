from __future__ import annotations

from itertools import islice, repeat

import pytest
from manual_clock import ManualClock

from imagewright.core.clock import Deadline
from imagewright.core.errors import BuildTimeoutError
from imagewright.engine.waiting import backoff, poll


def test_the_pauses_grow_to_a_limit() -> None:
    assert list(islice(backoff(1.0, factor=2.0, limit=5.0), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_first_look_is_at_once_and_the_answer_is_what_was_found() -> None:
    clock = ManualClock()
    assert poll(lambda: "there", Deadline.after(clock, 1.0, "it"), repeat(5.0)) == "there"
    assert clock.passed == 0.0


def test_it_looks_again_until_something_is_found() -> None:
    clock = ManualClock()
    answers = iter([None, None, 0])
    assert poll(lambda: next(answers), Deadline.after(clock, 60.0, "it"), repeat(5.0)) == 0
    assert clock.passed == 10.0


def test_it_never_waits_past_the_deadline() -> None:
    clock = ManualClock()
    with pytest.raises(BuildTimeoutError, match="the boot took too long"):
        poll(lambda: None, Deadline.after(clock, 12.0, "the boot"), repeat(5.0))
    assert clock.passed == 12.0
