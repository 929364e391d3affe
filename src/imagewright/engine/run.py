"""One build, from a plan to its run outputs. Knows ports; never a cloud, never a runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagewright.core.choices import Keep
from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import (
    CancelledError,
    CustomizationError,
    DistributionError,
    ImagewrightError,
    MachineLostError,
    PlatformError,
    Severity,
    TemplateError,
    ValidationError,
)
from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Diagnosed,
    Emit,
    Level,
    Note,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    StepKind,
    StepOutcome,
    StepStarted,
)
from imagewright.core.plan import ExactSource, OnError, Plan, Step
from imagewright.core.ports import Begins, Ends, Machine, Platform, Staging
from imagewright.core.result import (
    BuildResult,
    Failure,
    Phase,
    PhaseReport,
    RunOutput,
    RunState,
    StepReport,
)
from imagewright.engine import deprovision
from imagewright.engine.distribute import distribute
from imagewright.engine.finish import Finishing, finishing
from imagewright.engine.ledger import Ledger
from imagewright.engine.perform import StepFailedError, perform
from imagewright.engine.resume import CachePolicy, Chain, chain, holds_secret
from imagewright.engine.scope import Scope
from imagewright.engine.stage import stage

MACHINES = 4
"""How many machines a build may lose, and one more, before it gives up."""


def build(
    plan: Plan,
    *,
    platform: Platform,
    staging: Staging,
    ledger: Ledger,
    emit: Emit,
    clock: Clock,
    policy: CachePolicy,
    build_id: str,
) -> BuildResult:
    """Run `plan` to its end and say what came of it. Our own errors and a cancellation are results, not raised."""
    running = _Build(plan, platform, staging, emit, clock, policy)
    started, from_ = clock.now(), clock.monotonic()
    emit(BuildStarted(build_id, plan.name, platform.name))
    begin = platform.begin_deletions if isinstance(platform, Begins) else None
    scope = Scope(ledger, platform.delete, emit, clock, begin)
    state, failure = running.run(scope)
    result = BuildResult(
        build_id=build_id,
        template=plan.name,
        platform=platform.name,
        state=state,
        run_outputs=tuple(running.outputs),
        source=running.source,
        steps=tuple(running.steps),
        phases=tuple(running.phases),
        failure=failure,
        left_behind=tuple(str(owned) for owned in scope.left_behind),
        kept=tuple(str(owned) for owned in scope.kept),
        started=started,
        seconds=clock.monotonic() - from_,
        target_failures=tuple(running.target_failures),
    )
    emit(BuildFinished(result))
    return result


@dataclass
class _Build:
    """The state of one build while it runs: its reports so far."""

    plan: Plan
    platform: Platform
    staging: Staging
    emit: Emit
    clock: Clock
    policy: CachePolicy
    source: str = ""
    outputs: list[RunOutput] = field(default_factory=list)
    steps: list[StepReport] = field(default_factory=list)
    phases: list[PhaseReport] = field(default_factory=list)
    target_failures: list[Failure] = field(default_factory=list)

    def run(self, scope: Scope) -> tuple[RunState, Failure | None]:
        deadline = Deadline.after(
            self.clock,
            self.plan.timeout,
            f"the build (buildTimeoutInMinutes is {self.plan.timeout / 60:g})",
            "raise `buildTimeoutInMinutes` (6 to 960), or look at the last output for what did not end",
        )
        try:
            with scope:
                try:
                    return self._build(scope, deadline)
                except BaseException:
                    deadline.stop.set()
                    raise
        except CancelledError as error:
            return RunState.CANCELED, failure_of(error)
        except ImagewrightError as error:
            return RunState.FAILED, failure_of(error)

    def _build(self, scope: Scope, deadline: Deadline) -> tuple[RunState, Failure | None]:
        with self._phase(Phase.QUEUED):
            source, plan = self._prepare(deadline)
        if plan.validation.source_only:
            with self._phase(Phase.VALIDATING):
                self._validate_on(source, plan, scope, deadline)
            return RunState.SUCCEEDED, None
        keys = build_chain(plan, source, self.platform)
        with self.platform.using((*keys.keys, keys.captured)):
            disk = self.platform.captured(keys.captured) if self.policy.reuse else None
            if disk is None:
                disk = self._captured(source, plan, keys, scope, deadline)
            else:
                self.emit(Note("nothing changed since the last build: its captured disk is used"))
                self._cached_steps(plan.steps)
            invalid = self._validated(disk, plan, keys, scope, deadline)
            if invalid is not None and not plan.validation.continue_distribute_on_failure:
                raise invalid
            return self._distributed(disk, source, plan, scope, deadline, invalid)

    def _prepare(self, deadline: Deadline) -> tuple[ExactSource, Plan]:
        found = tuple(self.platform.check(self.plan))
        errors = [one for one in found if one.severity is Severity.ERROR]
        if errors:
            raise TemplateError(found)
        for one in found:
            self.emit(Diagnosed(one))
        plan = stage(self.plan, self.staging, deadline)
        source = self.platform.resolve(plan.source, plan, deadline)
        self.source = f"{source.source}" + (f" ({source.exact_version})" if source.exact_version else "")
        self.emit(Note(f"source: {self.source}"))
        return source, plan

    # --- the machine ---

    def _captured(self, source: ExactSource, plan: Plan, keys: Chain, scope: Scope, deadline: Deadline) -> Disk:
        """A machine that the cloud takes back is replaced; the build goes on behind its last checkpoint."""
        for _ in range(MACHINES - 1):
            try:
                return self._on_one_machine(source, plan, keys, scope, deadline)
            except MachineLostError as lost:
                self.emit(Note(lost.message, Level.WARNING, "the build goes on on another machine"))
                self.steps.clear()
        return self._on_one_machine(source, plan, keys, scope, deadline)

    def _on_one_machine(self, source: ExactSource, plan: Plan, keys: Chain, scope: Scope, deadline: Deadline) -> Disk:
        with self._phase(Phase.BUILDING):
            machine, done = self._machine(source, plan, keys, scope, deadline)
        finish = finishing(plan, source.os_type)
        with self._phase(Phase.CUSTOMIZING), self._kept_on_error(machine, scope, plan.on_customizer_error):
            self._cached_steps(plan.steps[:done])
            self._customize(machine, plan, keys, done, deadline)
            if not finish.optimizers:
                return self._close(finish, machine, keys, deadline)
        with self._phase(Phase.OPTIMIZING), self._kept_on_error(machine, scope, plan.on_customizer_error):
            for step in finish.optimizers:
                self._perform(step, StepKind.OPTIMIZER, len(finish.optimizers), machine, deadline)
            return self._close(finish, machine, keys, deadline)

    def _close(self, finish: Finishing, machine: Machine, keys: Chain, deadline: Deadline) -> Disk:
        self._perform(finish.deprovision, StepKind.DEPROVISION, 1, machine, deadline)
        machine.guest.close()
        return machine.capture(keys.captured if self.policy.keep is not Keep.NONE else "", deadline)

    def _machine(
        self, source: ExactSource, plan: Plan, keys: Chain, scope: Scope, deadline: Deadline
    ) -> tuple[Machine, int]:
        """A machine, and how many steps it has already behind it."""
        if self.policy.reuse:
            for done in range(len(plan.steps), -1, -1):
                machine = self.platform.resume(keys.keys[done], plan, scope, deadline)
                if machine is not None:
                    return machine, done
        machine = self.platform.boot(source, plan, scope, deadline)
        prepare = Step(0, "prepare", "Prepare", deprovision.prepare(source.os_type), plan.origin)
        try:
            perform(prepare, machine.guest, self.staging, deprovision.as_warnings(self.emit), deadline)
        except StepFailedError as failed:
            raise PlatformError(f"the build VM could not be prepared: {failed.reason}", hint=failed.hint) from failed
        if self.policy.after_boot():
            machine.checkpoint(keys.keys[0], f"{source} after its first boot")
        return machine, 0

    def _customize(self, machine: Machine, plan: Plan, keys: Chain, done: int, deadline: Deadline) -> None:
        unkept = 0.0
        for step in plan.steps[done:]:
            seconds = self._perform(step, StepKind.CUSTOMIZER, len(plan.steps), machine, deadline)
            unkept += seconds
            secret = holds_secret(plan.steps[: step.number], plan.mask)
            if self.policy.after_step(unkept, last=step.number == len(plan.steps), secret=secret):
                machine.checkpoint(keys.keys[step.number], f"{plan.name} after {step.number} {step.name}")
                unkept = 0.0

    def _perform(self, step: Step, kind: StepKind, total: int, machine: Machine, deadline: Deadline) -> float:
        self.emit(StepStarted(kind, step.number, total, step.name, step.type))
        from_ = self.clock.monotonic()
        outcome = StepOutcome.FAILED
        try:
            perform(step, machine.guest, self.staging, self.emit, deadline)
            outcome = StepOutcome.RAN
        except StepFailedError as failed:
            raise _failed(failed, kind) from failed
        finally:
            seconds = self.clock.monotonic() - from_
            if kind is StepKind.CUSTOMIZER:
                self.steps.append(StepReport(step.name, step.type, cached=False, seconds=seconds))
            self.emit(StepFinished(kind, step.number, total, step.name, step.type, outcome, seconds))
        return seconds

    def _cached_steps(self, steps: tuple[Step, ...]) -> None:
        total = len(self.plan.steps)
        for step in steps:
            self.steps.append(StepReport(step.name, step.type, cached=True, seconds=0.0))
            self.emit(
                StepFinished(
                    StepKind.CUSTOMIZER, step.number, total, step.name, step.type, StepOutcome.CACHED, seconds=0.0
                )
            )

    @contextmanager
    def _kept_on_error(self, machine: Machine, scope: Scope, on_error: OnError) -> Iterator[None]:
        """With `errorHandling: abort` a machine whose step failed is kept, and the user is told how to reach it."""
        try:
            yield
        except (CustomizationError, ValidationError):
            if on_error is OnError.ABORT:
                machine.keep()
                scope.keep_all = True
                self.emit(
                    Note(
                        f"the machine is kept: {machine.access()}",
                        Level.WARNING,
                        "run `imagewright cleanup` when you have seen enough",
                    )
                )
            raise

    # --- what comes of it ---

    def _validated(
        self, disk: Disk, plan: Plan, keys: Chain, scope: Scope, deadline: Deadline
    ) -> ValidationError | None:
        if not plan.validation.steps:
            return None
        if self.policy.reuse and self.platform.cache.has(keys.validated):
            self.emit(Note("this disk has passed these validators before"))
            return None
        try:
            with self._phase(Phase.VALIDATING):
                self._validate_on(disk, plan, scope, deadline)
        except ValidationError as error:
            return error
        if self.policy.keep is not Keep.NONE:
            try:
                self.platform.cache.mark(keys.validated, f"{plan.name} passed its validators")
            except PlatformError as error:
                self.emit(Note(f"the next build validates again: {error}", Level.WARNING, error.hint))
        return None

    def _validate_on(self, start: ExactSource | Disk, plan: Plan, scope: Scope, deadline: Deadline) -> None:
        machine = self.platform.boot(start, plan, scope, deadline)
        with self._kept_on_error(machine, scope, plan.on_validation_error):
            for step in plan.validation.steps:
                self._perform(step, StepKind.VALIDATOR, len(plan.validation.steps), machine, deadline)
        machine.guest.close()
        if isinstance(machine, Ends):
            machine.end()

    def _distributed(
        self,
        disk: Disk,
        source: ExactSource,
        plan: Plan,
        scope: Scope,
        deadline: Deadline,
        invalid: ValidationError | None,
    ) -> tuple[RunState, Failure | None]:
        with self._phase(Phase.DISTRIBUTING):
            distributed = distribute(plan, disk, source, self.platform, scope, deadline)
        self.outputs.extend(distributed.outputs)
        self.target_failures.extend(failure_of(error) for _, error in distributed.failures)
        if invalid is not None:
            return RunState.FAILED, failure_of(invalid)
        if not distributed.failures:
            return RunState.SUCCEEDED, None
        _, first = distributed.failures[0]
        summary = DistributionError(
            f"{len(distributed.failures)} of {len(plan.targets)} targets failed: {first}",
            hint=first.hint,
            origin=first.origin,
        )
        state = RunState.PARTIALLY_SUCCEEDED if distributed.outputs else RunState.FAILED
        return state, failure_of(summary)

    @contextmanager
    def _phase(self, phase: Phase) -> Iterator[None]:
        self.emit(PhaseStarted(phase))
        from_ = self.clock.monotonic()
        try:
            yield
        finally:
            seconds = self.clock.monotonic() - from_
            self.phases.append(PhaseReport(phase, seconds))
            self.emit(PhaseFinished(phase, seconds))


def build_chain(plan: Plan, source: ExactSource, platform: Platform) -> Chain:
    """The keys of a staged plan on this platform."""
    return chain(
        source,
        platform.machine_facts(source, plan.machine),
        deprovision.prepare(source.os_type),
        plan.steps,
        finishing(plan, source.os_type).actions(),
        plan.validation.steps,
        plan.mask,
    )


def failure_of(error: ImagewrightError) -> Failure:
    return Failure(type(error).__name__, error.message, error.hint, error.origin, error.exit_code, error.output)


def _failed(failed: StepFailedError, kind: StepKind) -> ImagewrightError:
    validating = kind is StepKind.VALIDATOR
    where = f"{kind.value} {failed.step.number} ({failed.step.type} {failed.step.name!r})"
    error = (ValidationError if validating else CustomizationError)(
        f"{where} failed: {failed.reason}", hint=failed.hint, origin=failed.step.origin
    )
    error.output = failed.output
    return error
