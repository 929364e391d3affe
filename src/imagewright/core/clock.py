"""Time and names as ports, so that the middle of the code neither sleeps nor invents."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from imagewright.core.errors import BuildTimeoutError, CancelledError

MOMENT = 0.25
"""Seconds: how late a wait may notice that it was stopped."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""
        ...

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which `what` has taken too long. `error` is the class that is raised then.

    Deadlines made from one another share `stop`: once it is set, each of them raises CancelledError, in any thread.
    `also` is called by each check, and may raise.
    """

    clock: Clock
    at: float
    what: str
    hint: str = ""
    error: Callable[..., Exception] = BuildTimeoutError
    stop: threading.Event = field(default_factory=threading.Event)
    also: Callable[[], None] | None = None

    @classmethod
    def after(
        cls, clock: Clock, seconds: float, what: str, hint: str = "", stop: threading.Event | None = None
    ) -> Deadline:
        return cls(clock, clock.monotonic() + seconds, what, hint, stop=stop or threading.Event())

    def remaining(self) -> float:
        return max(0.0, self.at - self.clock.monotonic())

    def passed(self) -> bool:
        return self.clock.monotonic() >= self.at

    def check(self) -> None:
        if self.stop.is_set():
            raise CancelledError("the build was cancelled")
        if self.passed():
            raise self.error(f"{self.what} took too long", hint=self.hint)
        if self.also is not None:
            self.also()

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass, or what is left of them; raises like `check`, at the latest a moment after `stop`."""
        until = min(self.clock.monotonic() + seconds, self.at)
        self.check()
        while (left := until - self.clock.monotonic()) > 0:
            self.clock.wait(min(left, MOMENT))
            self.check()

    def sooner(
        self, seconds: float, what: str, hint: str = "", error: Callable[..., Exception] | None = None
    ) -> Deadline:
        """This deadline, or one `seconds` from now if that is earlier."""
        mine = self.clock.monotonic() + seconds
        if self.at <= mine:
            return self
        return Deadline(self.clock, mine, what, hint, error or self.error, self.stop, self.also)

    def guarding(self, also: Callable[[], None]) -> Deadline:
        """The same deadline, whose checks call `also`."""
        return replace(self, also=also)


def fresh_name(length: int = 12) -> str:
    """A random lower-case name that no one else has taken: [a-z0-9], starting with a letter."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    return secrets.choice(alphabet[:26]) + "".join(secrets.choice(alphabet) for _ in range(length - 1))
