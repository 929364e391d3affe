"""Waiting for something to become true: quick at first, slower later, never past the deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from imagewright.core.clock import Deadline

Result = TypeVar("Result")


def backoff(first: float, factor: float = 1.5, limit: float = 15.0) -> Iterator[float]:
    """Seconds between looks: `first`, then `factor` times more each time, at most `limit`."""
    seconds = first
    while True:
        yield seconds
        seconds = min(limit, seconds * factor)


def poll(look: Callable[[], Result | None], deadline: Deadline, pauses: Iterator[float]) -> Result:
    """Call `look` until it returns something, with `pauses` between. Raises the deadline's error when it passes."""
    while True:
        found = look()
        if found is not None:
            return found
        deadline.wait(next(pauses))
