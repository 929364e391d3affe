"""Time and names as ports, so that the middle of the code neither sleeps nor invents."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from imagewright.core.errors import BuildTimeoutError


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
    """A moment after which `what` has taken too long. `error` is the class that is raised then."""

    clock: Clock
    at: float
    what: str
    hint: str = ""
    error: Callable[..., Exception] = field(default=BuildTimeoutError)

    @classmethod
    def after(
        cls,
        clock: Clock,
        seconds: float,
        what: str,
        hint: str = "",
        error: Callable[..., Exception] = BuildTimeoutError,
    ) -> Deadline:
        return cls(clock, clock.monotonic() + seconds, what, hint, error)

    def remaining(self) -> float:
        return max(0.0, self.at - self.clock.monotonic())

    def passed(self) -> bool:
        return self.clock.monotonic() >= self.at

    def check(self) -> None:
        if self.passed():
            raise self.error(f"{self.what} took too long", hint=self.hint)

    def sooner(self, seconds: float, what: str, hint: str = "", error: type[Exception] | None = None) -> Deadline:
        """This deadline, or one `seconds` from now if that is earlier."""
        mine = self.clock.monotonic() + seconds
        return self if self.at <= mine else Deadline(self.clock, mine, what, hint, error or self.error)


def fresh_name(length: int = 12) -> str:
    """A random lower-case name that no one else has taken: [a-z0-9], starting with a letter."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    return secrets.choice(alphabet[:26]) + "".join(secrets.choice(alphabet) for _ in range(length - 1))
