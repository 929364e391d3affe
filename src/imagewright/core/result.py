"""What came out of a build."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagewright.core.errors import ImagewrightError
from imagewright.core.origin import Origin


class RunState(StrEnum):
    """AIB's run states; the last two are ours, of a pipeline that built nothing: a dry run, a source as it was."""

    RUNNING = "Running"
    CANCELING = "Canceling"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELED = "Canceled"
    PLANNED = "Planned"
    SKIPPED = "Skipped"


class Phase(StrEnum):
    QUEUED = "Queued"
    BUILDING = "Building"
    CUSTOMIZING = "Customizing"
    OPTIMIZING = "Optimizing"
    VALIDATING = "Validating"
    DISTRIBUTING = "Distributing"


@dataclass(frozen=True, slots=True)
class RunOutput:
    """AIB's run output. `artifact_id` is an ARM id (or `""` for a VHD), `artifact_uri` a path or URL of a VHD.

    `version` is the version number that a gallery target was given.
    """

    name: str
    artifact_id: str = ""
    artifact_uri: str = ""
    version: str = ""
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepReport:
    name: str
    type: str
    cached: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class PhaseReport:
    phase: Phase
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a build did not succeed. `kind` is the error's class name, `output` the guest's last lines."""

    kind: str
    message: str
    hint: str = ""
    origin: Origin | None = None
    exit_code: int = 1
    output: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: ImagewrightError) -> Failure:
        return cls(type(error).__name__, error.message, error.hint, error.origin, error.exit_code, error.output)


@dataclass(frozen=True, slots=True)
class BuildResult:
    build_id: str
    template: str
    platform: str
    state: RunState
    run_outputs: tuple[RunOutput, ...] = ()
    source: str = ""
    steps: tuple[StepReport, ...] = ()
    phases: tuple[PhaseReport, ...] = ()
    failure: Failure | None = None
    left_behind: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    started: datetime | None = None
    seconds: float = 0.0
    log: str = ""
    target_failures: tuple[Failure, ...] = ()
