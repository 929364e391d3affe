"""What happens during a build, as a closed union. The engine emits events and never prints.

Every renderer ends its match in `assert_never`, so a new event cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from imagewright.core.errors import Diagnostic
from imagewright.core.result import BuildResult, Phase


@dataclass(frozen=True, slots=True)
class BuildStarted:
    build_id: str
    template: str
    platform: str


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    phase: Phase


@dataclass(frozen=True, slots=True)
class PhaseFinished:
    phase: Phase
    seconds: float


class StepOutcome(StrEnum):
    RAN = "ran"
    CACHED = "cached"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepKind(StrEnum):
    CUSTOMIZER = "customizer"
    VALIDATOR = "validator"
    DEPROVISION = "deprovision"
    OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`number` of `total` starts at 1."""

    kind: StepKind
    number: int
    total: int
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    kind: StepKind
    number: int
    total: int
    name: str
    type: str
    outcome: StepOutcome
    seconds: float


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Output:
    """One line that the guest printed, without its line end. It is hostile: a renderer must defuse it."""

    line: str
    stream: Stream = Stream.STDOUT


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` (0: unknown) of a long copy, download or wait, in `unit` (`B`, `%`, `replicas`)."""

    label: str
    done: int
    total: int
    unit: str = "B"


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about the build itself: a decision that was made, a thing that was created or deleted."""

    message: str
    level: Level = Level.INFO
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A finding about the user's files."""

    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class BuildFinished:
    result: BuildResult


Event = (
    BuildStarted
    | PhaseStarted
    | PhaseFinished
    | StepStarted
    | StepFinished
    | Output
    | Progress
    | Note
    | Diagnosed
    | BuildFinished
)

Emit = Callable[[Event], None]
