"""A sign of life in the log while something long runs: runners and people take silence for a hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imagewright.core.clock import Clock
from imagewright.core.events import Emit, Event, Note, PhaseStarted, StepFinished, StepStarted
from imagewright.render.plain import step
from imagewright.render.quantities import duration

QUIET_SECONDS = 120.0
LOOK_SECONDS = 5.0


class Pulse:
    """Hears every event, and says what still runs when there was none for `quiet` seconds."""

    def __init__(self, tell: Emit, clock: Clock, quiet: float = QUIET_SECONDS) -> None:
        self._tell = tell
        self._clock = clock
        self._quiet = quiet
        self._heard = self._since = clock.monotonic()
        self._what = ""
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._heard = now
            if isinstance(event, PhaseStarted | StepStarted | StepFinished):
                self._what, self._since = _name(event), now

    def look(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if now - self._heard < self._quiet:
                return
            what, took = self._what or "the build", duration(now - self._since)
        self._tell(Note(f"{what} still runs, for {took} now"))


def _name(event: PhaseStarted | StepStarted | StepFinished) -> str:
    match event:
        case PhaseStarted():
            return str(event.phase)
        case StepStarted():
            return step(event)
        case StepFinished():
            return ""


@contextmanager
def beating(pulse: Pulse, every: float = LOOK_SECONDS) -> Iterator[None]:
    """While this is held, a thread looks now and then."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(every):
            pulse.look()

    thread = threading.Thread(target=watch, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
