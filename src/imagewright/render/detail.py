"""How much of a build is told."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Diagnosed,
    Emit,
    Event,
    Level,
    Note,
    Output,
    PhaseFinished,
    PhaseStarted,
    Progress,
    StepFinished,
    StepStarted,
)


class Detail(StrEnum):
    """`QUIET`: warnings, errors and the result. `VERBOSE`: every decision too."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"

    @classmethod
    def chosen(cls, *, quiet: bool, verbose: bool) -> Detail:
        if quiet:
            return cls.QUIET
        return cls.VERBOSE if verbose else cls.NORMAL


def only(detail: Detail, sink: Emit) -> Emit:
    """`sink`, told no more than `detail`."""

    def tell(event: Event) -> None:
        if told(event, detail):
            sink(event)

    return tell


def told(event: Event, detail: Detail) -> bool:
    match event:
        case Note(level=Level.WARNING | Level.ERROR) | Diagnosed() | BuildFinished():
            return True
        case Note(level=Level.DEBUG):
            return detail is Detail.VERBOSE
        case (
            Note()
            | BuildStarted()
            | PhaseStarted()
            | PhaseFinished()
            | StepStarted()
            | StepFinished()
            | Output()
            | Progress()
        ):
            return detail is not Detail.QUIET
        case _:
            assert_never(event)
