"""Signals as an error: the first one raises CancelledError in the main thread, so that the clean-up runs.

Both runners send SIGINT, then SIGTERM, then kill (on Windows Ctrl-C, then Ctrl-Break). So a second signal changes
nothing: what it asks for is being done. Only a person who presses Ctrl-C a third time gets out at once; the ledger
then still knows what is left.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from imagewright.core.errors import CancelledError
from imagewright.entry.start import NAMES

PATIENCE = 3
"""How many times SIGINT comes before the clean-up is given up."""

ECHO_SECONDS = 0.5
"""A terminal and a parent process may both hand on the same Ctrl-C: what comes this soon counts once."""


class Cancellation:
    """A signal handler. `say` writes a line and must be safe in a handler; `give_up` ends the process."""

    def __init__(
        self,
        say: Callable[[str], None],
        give_up: Callable[[int], object] = os._exit,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._give_up = give_up
        self._now = now
        self._interrupts = 0
        self._last = float("-inf")
        self.cancelled = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now, last = self._now(), self._last
        self._last = now
        if self.cancelled and now - last < ECHO_SECONDS:
            return
        self._interrupts += number == signal.SIGINT
        if not self.cancelled:
            self.cancelled = True
            raise CancelledError(f"cancelled by {signal.Signals(number).name}")
        if self._interrupts >= PATIENCE:
            self._say("the clean-up was given up; hint: run `imagewright cleanup` to finish it")
            self._give_up(CancelledError.exit_code)
        else:
            self._say("already cancelling: what was created is being deleted")


@contextmanager
def cancellable() -> Iterator[Cancellation]:
    """Inside, signals cancel. Call it from the main thread."""
    handler = Cancellation(_say)
    before = {number: signal.signal(number, handler) for name in NAMES if (number := getattr(signal, name, None))}
    try:
        yield handler
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _say(line: str) -> None:
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())
