"""The one place where secrets leave an event, before anything shows or stores it."""

from __future__ import annotations

import dataclasses
import threading
from enum import Enum
from typing import TypeVar

from imagewright.core.events import BuildFinished, Diagnosed, Emit, Event, Level, Note, Output
from imagewright.core.result import BuildResult
from imagewright.core.secret import Mask, Secret

T = TypeVar("T")


class Redact:
    """An `Emit` that masks an event and hands it to each sink in turn, one event at a time.

    What must not be shown is learned as the build goes: `learn` takes a plan's mask. A sink that cannot be written to
    any more (a closed pipe, a full disk) is dropped and the others are told: a build that owns machines goes on.

    `job` are secrets that are none of the template's: they are taken out of what people and guests say, and not out
    of names and ids, of which one may be a part (the subscription's id is a secret variable in many a pipeline).
    """

    def __init__(self, *sinks: Emit, mask: Mask | None = None, job: Mask | None = None) -> None:
        self._sinks = list(sinks)
        self._lock = threading.RLock()
        self.mask = mask or Mask()
        self._job = job or Mask()

    def __call__(self, event: Event) -> None:
        event = self._said(masked(event, self.mask))
        with self._lock:
            for sink in tuple(self._sinks):
                try:
                    sink(event)
                except OSError as error:
                    self.leave(sink)
                    self(Note(f"an output was lost: {error}", Level.WARNING))

    def text(self, text: str) -> str:
        """`text` without secrets, for what is shown beside the events."""
        return self._job(self.mask(text))

    def masked(self, value: T) -> T:
        """A frozen value without secrets of the template."""
        return masked(value, self.mask)

    def result(self, result: BuildResult) -> BuildResult:
        """A result that may be shown and kept."""
        result = self.masked(result)
        failure, others = masked(result.failure, self._job), masked(result.target_failures, self._job)
        return dataclasses.replace(result, failure=failure, target_failures=others)

    def _said(self, event: Event) -> Event:
        match event:
            case Output() | Note() | Diagnosed():
                return masked(event, self._job)
            case BuildFinished():
                return BuildFinished(self.result(event.result))
            case _:
                return event

    def learn(self, mask: Mask) -> None:
        known = set(self.mask.secrets)
        self.mask = self.mask.plus(secret for secret in mask.secrets if secret not in known)

    def join(self, sink: Emit) -> None:
        with self._lock:
            self._sinks.append(sink)

    def leave(self, sink: Emit) -> None:
        with self._lock:
            if sink in self._sinks:
                self._sinks.remove(sink)


def masked(value: T, mask: Mask) -> T:
    """The same frozen value with every secret in any text of it replaced by its name."""
    if not mask.secrets:
        return value
    return _masked(value, mask)  # type: ignore[return-value]


def _masked(value: object, mask: Mask) -> object:
    match value:
        case Enum() | Secret():
            return value
        case str():
            return mask(value)
        case tuple():
            return tuple(_masked(item, mask) for item in value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
            return type(value)(**{name: _masked(item, mask) for name, item in fields.items()})
        case _:
            return value
