"""What is told of a build while it runs, and remembered for its result: phases, steps, outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imagewright.core.clock import Clock
from imagewright.core.errors import CancelledError
from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Emit,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    StepKind,
    StepOutcome,
    StepStarted,
)
from imagewright.core.ownership import Owned
from imagewright.core.plan import Step
from imagewright.core.result import BuildResult, Failure, Phase, PhaseReport, RunOutput, RunState, StepReport


class Record:
    """Begins when it is made, with the first event, and ends with `finish`, the last one."""

    def __init__(self, build_id: str, template: str, platform: str, emit: Emit, clock: Clock) -> None:
        self._build_id = build_id
        self._template = template
        self._platform = platform
        self._clock = clock
        self._started = clock.now()
        self._from = clock.monotonic()
        self._steps: list[StepReport] = []
        self._phases: list[PhaseReport] = []
        self.emit = emit
        self.source = ""
        self.outputs: tuple[RunOutput, ...] = ()
        self.target_failures: tuple[Failure, ...] = ()
        emit(BuildStarted(build_id, template, platform))

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        self.emit(PhaseStarted(phase))
        from_ = self._clock.monotonic()
        try:
            yield
        finally:
            seconds = self._clock.monotonic() - from_
            self._phases.append(PhaseReport(phase, seconds))
            self.emit(PhaseFinished(phase, seconds))

    def step(self, step: Step, kind: StepKind, total: int, work: Callable[[], None]) -> float:
        """What is told while `work` does the step. Returns how many seconds it took."""
        self.emit(StepStarted(kind, step.number, total, step.name, step.type))
        from_ = self._clock.monotonic()
        outcome = StepOutcome.FAILED
        try:
            work()
            outcome = StepOutcome.RAN
        except CancelledError:
            outcome = StepOutcome.CANCELLED
            raise
        finally:
            seconds = self._clock.monotonic() - from_
            self._step_over(step, kind, total, outcome, seconds)
        return seconds

    def cached(self, step: Step, total: int) -> None:
        """A customizer that need not run."""
        self._step_over(step, StepKind.CUSTOMIZER, total, StepOutcome.CACHED, 0.0)

    def _step_over(self, step: Step, kind: StepKind, total: int, outcome: StepOutcome, seconds: float) -> None:
        if kind is StepKind.CUSTOMIZER:
            cached = outcome is StepOutcome.CACHED
            self._steps.append(StepReport(step.name, step.type, cached=cached, seconds=seconds))
        self.emit(StepFinished(kind, step.number, total, step.name, step.type, outcome, seconds))

    def begin_again(self) -> None:
        """The machine is gone and its steps with it; what is told of them from now on counts."""
        self._steps.clear()

    def finish(
        self, state: RunState, failure: Failure | None, left_behind: list[Owned], kept: list[Owned]
    ) -> BuildResult:
        result = BuildResult(
            build_id=self._build_id,
            template=self._template,
            platform=self._platform,
            state=state,
            run_outputs=self.outputs,
            source=self.source,
            steps=tuple(self._steps),
            phases=tuple(self._phases),
            failure=failure,
            left_behind=tuple(map(str, left_behind)),
            kept=tuple(map(str, kept)),
            started=self._started,
            seconds=self._clock.monotonic() - self._from,
            target_failures=self.target_failures,
        )
        self.emit(BuildFinished(result))
        return result
