"""A build in a terminal: what is done stays above, what goes on is repainted below. The only file that knows rich."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TextIO, assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

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
    StepOutcome,
    StepStarted,
)
from imagewright.core.result import Phase
from imagewright.render.defuse import defuse, defuse_lines
from imagewright.render.excerpt import Excerpts
from imagewright.render.outcome import outcome
from imagewright.render.plain import ending, step
from imagewright.render.quantities import duration, elapsed, percent, progress

TAIL = 6
"""How many of the last lines of output are seen."""

_OUTCOMES = {
    StepOutcome.RAN: "green",
    StepOutcome.CACHED: "cyan",
    StepOutcome.FAILED: "bold red",
    StepOutcome.CANCELLED: "yellow",
}
_LEVELS = {Level.DEBUG: "dim", Level.INFO: "", Level.WARNING: "bold yellow", Level.ERROR: "bold red"}


class Terminal:
    """A context manager around the live view; an `Emit` inside. `verbose`: every line of output stays."""

    def __init__(
        self, stream: TextIO, clock: Clock, excerpts: Excerpts, *, verbose: bool = False, color: bool = True
    ) -> None:
        self._console = Console(
            file=stream, force_terminal=True, no_color=not color, highlight=False, soft_wrap=False
        )
        self._clock = clock
        self._excerpts = excerpts
        self._verbose = verbose
        self._began = clock.monotonic()
        self._phase: tuple[Phase, float] | None = None
        self._step: tuple[StepStarted, float] | None = None
        self._tail: tuple[str, ...] = ()
        self._progress: dict[str, Progress] = {}
        self._live = Live(
            console=self._console,
            get_renderable=self._now,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Terminal:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed
            self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self._began = self._clock.monotonic()
                self._say(f"build {event.build_id} of {defuse(event.template)} on {event.platform}", "bold")
            case PhaseStarted():
                self._phase, self._progress = (event.phase, self._clock.monotonic()), {}
            case PhaseFinished():
                self._phase, self._progress = None, {}
                self._say(f"{event.phase} took {duration(event.seconds)}", "dim")
            case StepStarted():
                self._step, self._tail, self._progress = (event, self._clock.monotonic()), (), {}
            case StepFinished():
                self._step, self._tail = None, ()
                self._say(f"  {step(event)}: {ending(event)}", _OUTCOMES[event.outcome])
            case Output():
                line = defuse(event.line)
                self._tail = (*self._tail, line)[-TAIL:]
                if self._verbose:
                    self._say(f"    | {line}", "dim")
            case Progress():
                self._progress = {**self._progress, event.label: event}
            case Note():
                word = f"{event.level}: " if event.level in (Level.WARNING, Level.ERROR) else ""
                first, *more = defuse_lines(event.message)
                self._say(f"  {word}{first}", _LEVELS[event.level])
                self._ansi([*more, *self._excerpts.hint(event.hint)])
            case Diagnosed():
                self._ansi(self._excerpts.diagnostic(event.diagnostic))
            case BuildFinished():
                self._phase, self._step, self._tail, self._progress = None, None, (), {}
                self._live.stop()
                self._ansi(outcome(event.result, self._excerpts))
            case _:
                assert_never(event)

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def _ansi(self, lines: list[str]) -> None:
        for line in lines:
            self._console.print(Text.from_ansi(line), soft_wrap=True)

    def _now(self) -> RenderableType:
        """What goes on at this moment. Read by rich's own thread: every part is replaced whole, never changed."""
        phase, current, tail, running = self._phase, self._step, self._tail, self._progress
        now = self._clock.monotonic()
        parts: list[RenderableType] = []
        if phase is not None:
            parts.append(_head(phase[0], now - self._began))
        if current is not None:
            started, since = current
            parts.append(Spinner("line", Text(f"{step(started)}  {elapsed(now - since)}", style="bold")))
        parts += [Text(f"    | {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in tail]
        parts += [_bar(each) for each in running.values() if not (each.total and each.done >= each.total)]
        return Group(*parts)


def _head(phase: Phase, seconds: float) -> RenderableType:
    words = Text(f"{elapsed(seconds):>7}  ", style="dim")
    for each in Phase:
        words.append(f"[{each}]" if each is phase else str(each), style="bold" if each is phase else "dim")
        words.append("  ")
    words.no_wrap = True
    return words


def _bar(event: Progress) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=100, completed=percent(event), width=30, pulse=not event.total and event.unit != "%")
    row.add_row("   ", bar, Text(defuse(progress(event)), no_wrap=True, overflow="ellipsis"))
    return row
