from __future__ import annotations

import os
import signal
from itertools import count

import pytest

from imagewright.core.errors import CancelledError
from imagewright.entry.signals import Cancellation, cancellable


class Ended(BaseException):
    pass


def handler(seconds: float = 10.0) -> tuple[Cancellation, list[str], list[int]]:
    """A handler that is called every `seconds`, what it said, and the exit codes it gave up with."""
    said: list[str] = []
    codes: list[int] = []
    ticks = count()
    return Cancellation(said.append, codes.append, lambda: next(ticks) * seconds), said, codes


def test_only_the_first_signal_raises() -> None:
    cancel, said, codes = handler()
    with pytest.raises(CancelledError, match="cancelled by SIGINT"):
        cancel(signal.SIGINT, None)
    cancel(signal.SIGTERM, None)
    cancel(signal.SIGINT, None)
    assert len(said) == 2
    assert codes == []


def test_a_third_interrupt_gives_up() -> None:
    cancel, said, codes = handler()
    with pytest.raises(CancelledError):
        cancel(signal.SIGINT, None)
    for _ in range(2):
        cancel(signal.SIGINT, None)
    assert codes == [130]
    assert "imagewright cleanup" in said[-1]


def test_a_runner_that_only_terminates_never_ends_the_cleanup() -> None:
    cancel, _, codes = handler()
    with pytest.raises(CancelledError):
        cancel(signal.SIGTERM, None)
    for _ in range(10):
        cancel(signal.SIGTERM, None)
    assert codes == []


def test_an_echo_of_the_same_key_press_counts_once() -> None:
    cancel, said, codes = handler(seconds=0.01)
    with pytest.raises(CancelledError):
        cancel(signal.SIGINT, None)
    for _ in range(10):
        cancel(signal.SIGINT, None)
    assert (said, codes) == ([], [])


def test_signals_are_as_before_afterwards() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(CancelledError), cancellable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert {number: signal.getsignal(number) for number in before} == before
