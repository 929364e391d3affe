"""A build in the log of a pipeline: groups that fold, annotations at the line of the template, guest output apart.

What GitHub and Azure Pipelines want said differently is a `Dialect`: `render/github.py`, `render/azure_pipelines.py`.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TextIO, assert_never

from imagewright.core.clock import Clock
from imagewright.core.errors import Diagnostic, ImagewrightError, Severity, TemplateError
from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Diagnosed,
    Event,
    Level,
    Note,
    Output,
    PhaseFinished,
    PhaseStarted,
    Progress,
    StepFinished,
    StepKind,
    StepStarted,
    Stream,
)
from imagewright.core.origin import Origin
from imagewright.core.result import BuildResult, Failure, Phase, RunState
from imagewright.render.defuse import defuse, defuse_lines
from imagewright.render.excerpt import Excerpts
from imagewright.render.outcome import outcome
from imagewright.render.plain import ending, step
from imagewright.render.quantities import duration, progress

ANNOTATIONS = 9
"""Of each severity: the runners show ten in a step, the tenth says how many more there are."""

LAST_WORDS = 10
"""Lines of the guest's output that an annotation quotes."""

PROGRESS_SECONDS = 15.0

_REACHED = {
    Phase.QUEUED: (0, 5),
    Phase.BUILDING: (5, 15),
    Phase.CUSTOMIZING: (15, 75),
    Phase.OPTIMIZING: (75, 80),
    Phase.VALIDATING: (80, 88),
    Phase.DISTRIBUTING: (88, 99),
}
"""Percent of the whole when a phase begins and when it ends: a guess that moves forward."""


class Dialect(Protocol):
    """How one runner is spoken to. Each gives whole lines."""

    def group(self, title: str) -> str: ...

    def end_group(self) -> str: ...

    def annotation(self, severity: Severity, message: str, title: str, origin: Origin | None) -> str:
        """A message on the run's page; `origin.file` is a path as the runner wants it."""
        ...

    def debug(self, message: str) -> str: ...

    def progress(self, percent: int, what: str) -> list[str]: ...

    def guest_begins(self) -> list[str]:
        """What goes before lines of strangers."""
        ...

    def guest_ends(self) -> list[str]: ...

    def line(self, text: str) -> str:
        """A line of ours that the runner shall only show."""
        ...


class PipelineLog:
    """Writes to `stream`, flushed after each event. `workspace` is the directory that annotations are relative to.

    Commands may come from other threads than events do (a new token is masked by whoever needed it), and a signal may
    end any write with an exception: the runner must never stay deaf to commands, nor obey a guest.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: Clock,
        excerpts: Excerpts,
        dialect: Dialect,
        *,
        workspace: Path,
        verbose: bool = False,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._excerpts = excerpts
        self._dialect = dialect
        self._workspace = workspace
        self._verbose = verbose
        self._annotated: Counter[Severity] = Counter()
        self._title = ""
        self._grouped = False
        self._guest = False
        self._phase = Phase.QUEUED
        self._progress: dict[str, float] = {}
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self.say([f"build {event.build_id} of {event.template} on {event.platform}"])
            case PhaseStarted():
                self._phase = event.phase
                self.close()
                self._reach(0.0, str(event.phase))
                self.open(str(event.phase))
            case PhaseFinished():
                self.close()
                self._reach(1.0, str(event.phase))
                self.say([f"{event.phase} took {duration(event.seconds)}"])
            case StepStarted():
                self.close()
                if event.kind is StepKind.CUSTOMIZER:
                    self._reach((event.number - 1) / max(1, event.total), step(event))
                self.open(step(event))
            case StepFinished():
                self.close()
                self.say([f"{step(event)}: {ending(event)}"])
            case Output():
                self._strange(event)
            case Progress():
                self._show(event)
            case Note():
                self._note(event)
            case Diagnosed():
                self._diagnosed(event.diagnostic)
            case BuildFinished():
                self._finished(event.result)
            case _:
                assert_never(event)

    # --- what an entry point says besides events ---

    def say(self, lines: Iterable[str]) -> None:
        """Lines of ours."""
        self._write([self._dialect.line(defuse(line)) for line in lines])

    def open(self, title: str) -> None:
        """Begin a group with the next line; the one that is open ends: groups do not nest."""
        self.close()
        self._title = defuse(title)

    def close(self) -> None:
        self._title = ""
        if self._grouped:
            self._grouped = False
            self._write([self._dialect.end_group()])

    def error(self, error: ImagewrightError) -> None:
        """An error of ours that ended the job, as annotations."""
        self.close()
        if isinstance(error, TemplateError):
            for found in error.diagnostics:
                self._diagnosed(found)
            return
        self._annotate(Severity.ERROR, _with_hint(error.message, error.hint), "", error.origin)
        if error.origin is not None:
            self.say(self._excerpts.place(error.origin))

    def command(self, lines: Iterable[str]) -> None:
        """Lines that the runner shall obey."""
        self._write(lines)

    # --- one event ---

    def _strange(self, event: Output) -> None:
        mark = "|" if event.stream is Stream.STDOUT else "!"
        with self._lock:
            begins = [] if self._guest else self._dialect.guest_begins()
            self._guest = True
            self._raw([*begins, f"{mark} {defuse(event.line)}".rstrip()])

    def _show(self, event: Progress) -> None:
        now = self._clock.monotonic()
        began = self._progress.setdefault(event.label, now)
        if now - began >= PROGRESS_SECONDS:
            self._progress[event.label] = now
            self.say([progress(event)])

    def _note(self, event: Note) -> None:
        match event.level:
            case Level.DEBUG if not self._verbose:
                self._write([self._dialect.debug(defuse(event.message))])
            case Level.DEBUG | Level.INFO:
                self.say([*defuse_lines(event.message), *self._excerpts.hint(event.hint)])
            case Level.WARNING:
                self._annotate(Severity.WARNING, _with_hint(event.message, event.hint), "", None)
            case Level.ERROR:
                self._annotate(Severity.ERROR, _with_hint(event.message, event.hint), "", None)

    def _diagnosed(self, found: Diagnostic) -> None:
        self._annotate(found.severity, _with_hint(found.message, found.hint), found.code, found.origin)
        self.say(self._excerpts.place(found.origin))

    def _finished(self, result: BuildResult) -> None:
        self.close()
        partly = result.target_failures if result.state is RunState.PARTIALLY_SUCCEEDED else ()
        for failure in filter(None, (result.failure, *partly)):
            self._failed(failure)
        rest = replace(result, failure=None, target_failures=())
        if result.log:
            self.say([f"log: {result.log}"])
        self.say(outcome(rest, self._excerpts))
        self._write(self._dialect.progress(100, str(result.state)))

    def _failed(self, failure: Failure) -> None:
        quoted = [f"| {line}".rstrip() for line in failure.output[-LAST_WORDS:]]
        message = "\n".join([_with_hint(failure.message, failure.hint), *quoted])
        self._annotate(Severity.ERROR, message, _words(failure.kind), failure.origin)
        if failure.origin is not None:
            self.say(self._excerpts.place(failure.origin))
        if failure.output:
            self.say(["last output:", *(f"  | {line}".rstrip() for line in failure.output)])

    # --- lines ---

    def _annotate(self, severity: Severity, message: str, title: str, origin: Origin | None) -> None:
        text = "\n".join(self._excerpts.shown(message))
        self._annotated[severity] += 1
        if self._annotated[severity] > ANNOTATIONS:
            self.say([f"{severity}: {line}" for line in text.splitlines()[:1]])
            return
        place = self._relative(origin) if origin is not None and origin.file != "-" else None
        self._write([self._dialect.annotation(severity, text, defuse(title), place)])

    def _relative(self, origin: Origin) -> Origin:
        absolute = os.path.abspath(origin.file)  # noqa: PTH100 - links stay as the user wrote them
        inside = absolute.startswith(f"{self._workspace}{os.sep}")
        return replace(
            origin, file=Path(os.path.relpath(absolute, self._workspace) if inside else absolute).as_posix()
        )

    def _reach(self, share: float, what: str) -> None:
        begin, end = _REACHED[self._phase]
        self._write(self._dialect.progress(int(begin + (end - begin) * share), defuse(what)))

    def _write(self, lines: Iterable[str]) -> None:
        with self._lock:
            ends = self._dialect.guest_ends() if self._guest else []
            self._raw([*ends, *lines])
            self._guest = False

    def _raw(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if text and self._title:
            text, self._title, self._grouped = f"{self._dialect.group(self._title)}\n{text}", "", True
        self._stream.write(text)
        self._stream.flush()


def _with_hint(message: str, hint: str) -> str:
    return f"{message}\nhint: {hint}" if hint else message


def _words(kind: str) -> str:
    """`CustomizationError` as a title: `Customization error`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).capitalize()
