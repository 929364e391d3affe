"""A build as lines of text, for logs and for terminals that are none."""

from __future__ import annotations

from typing import TextIO, assert_never

from imagewright.core.clock import Clock
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
    StepOutcome,
    StepStarted,
    Stream,
)
from imagewright.render.defuse import defuse, defuse_lines
from imagewright.render.excerpt import Excerpts
from imagewright.render.outcome import outcome
from imagewright.render.quantities import duration, elapsed, percent, progress

EVERY_SECONDS = 10.0
AT_LEAST_SECONDS = 2.0
EVERY_PERCENT = 10


class Plain:
    """Writes to `stream`, each line with the time since the build began, flushed at once."""

    def __init__(self, stream: TextIO, clock: Clock, excerpts: Excerpts) -> None:
        self._stream = stream
        self._clock = clock
        self._excerpts = excerpts
        self._began = clock.monotonic()
        self._progress: dict[str, _Shown] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self._began = self._clock.monotonic()
                self._line(f"build {event.build_id} of {defuse(event.template)} on {event.platform}")
            case PhaseStarted():
                self._progress.clear()
                self._line(f"== {event.phase}")
            case PhaseFinished():
                self._line(f"== {event.phase} took {duration(event.seconds)}")
            case StepStarted():
                self._line(f"-- {step(event)}")
            case StepFinished():
                self._line(f"-- {step(event)}: {ending(event)}")
            case Output():
                self._line(f"   {'|' if event.stream is Stream.STDOUT else '!'} {defuse(event.line)}".rstrip())
            case Progress():
                self._show(event)
            case Note():
                first, *more = defuse_lines(event.message)
                self._line(f"{_level(event.level, self._excerpts)}{first}")
                self._lines([*more, *self._excerpts.hint(event.hint)])
            case Diagnosed():
                self._lines(self._excerpts.diagnostic(event.diagnostic))
            case BuildFinished():
                self._lines(outcome(event.result, self._excerpts))
            case _:
                assert_never(event)

    def _show(self, event: Progress) -> None:
        """Now and then, and not at all for what is over at once."""
        now, reached = self._clock.monotonic(), percent(event)
        shown = self._progress.setdefault(event.label, _Shown(now))
        waited = now - shown.at
        due = waited >= EVERY_SECONDS or (waited >= AT_LEAST_SECONDS and reached - shown.percent >= EVERY_PERCENT)
        ended = reached == 100 and shown.lines > 0 and shown.percent < 100
        if due or ended:
            shown.at, shown.percent, shown.lines = now, reached, shown.lines + 1
            self._line(f"   {defuse(progress(event))}")

    def _line(self, text: str) -> None:
        self._lines([f"{elapsed(self._clock.monotonic() - self._began):>7} {text}"])

    def _lines(self, lines: list[str]) -> None:
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


class _Shown:
    """What was shown last of one progress."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.percent = 0
        self.lines = 0


_KINDS = {
    StepKind.CUSTOMIZER: "step",
    StepKind.VALIDATOR: "validator",
    StepKind.DEPROVISION: "deprovision",
    StepKind.OPTIMIZER: "optimizer",
}


def step(event: StepStarted | StepFinished) -> str:
    """`step 2/3 Shell install-nginx`."""
    return f"{_KINDS[event.kind]} {event.number}/{event.total} {event.type} {defuse(event.name)}".rstrip()


def ending(event: StepFinished) -> str:
    """`done in 3 s`, `cached`, `failed after 3 s`, `cancelled after 3 s`."""
    match event.outcome:
        case StepOutcome.RAN:
            return f"done in {duration(event.seconds)}"
        case StepOutcome.CACHED:
            return "cached"
        case StepOutcome.FAILED:
            return f"failed after {duration(event.seconds)}"
        case StepOutcome.CANCELLED:
            return f"cancelled after {duration(event.seconds)}"


def _level(level: Level, excerpts: Excerpts) -> str:
    match level:
        case Level.DEBUG | Level.INFO:
            return ""
        case Level.WARNING:
            return f"{excerpts.paint.warning('warning')}: "
        case Level.ERROR:
            return f"{excerpts.paint.error('error')}: "
