"""One build, from a plan to its run outputs. Knows ports; never a cloud, never a runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imagewright.core.choices import Keep
from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import (
    BuildTimeoutError,
    CancelledError,
    CustomizationError,
    DistributionError,
    ImagewrightError,
    MachineLostError,
    PlatformError,
    ValidationError,
)
from imagewright.core.events import Diagnosed, Emit, Level, Note, StepKind
from imagewright.core.plan import ExactSource, OnError, Plan, Step
from imagewright.core.ports import Begins, Ends, Machine, Platform, Staging
from imagewright.core.result import BuildResult, Failure, Phase, RunState
from imagewright.engine import deprovision
from imagewright.engine.distribute import distribute
from imagewright.engine.exact import Exact, exact
from imagewright.engine.ledger import Ledger
from imagewright.engine.perform import StepFailedError, perform
from imagewright.engine.record import Record
from imagewright.engine.resume import CachePolicy, holds_secret, verdict
from imagewright.engine.scope import Scope

QUEUED_SECONDS = 2 * 3600.0
"""What comes before the build itself; as in AIB, `buildTimeoutInMinutes` does not count for it."""
MACHINES = 4
"""How many machines a build may lose, and one more, before it gives up."""

Ended = tuple[RunState, Failure | None]


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
    record = Record(build_id, plan.name, platform.name, emit, clock)
    begin = platform.begin_deletions if isinstance(platform, Begins) else None
    scope = Scope(ledger, platform.delete, emit, clock, begin)
    queued = Deadline.after(clock, QUEUED_SECONDS, "getting the source and the artifacts ready")
    try:
        with scope, _stopping(queued):
            with record.phase(Phase.QUEUED):
                ready = exact(plan, platform, staging, queued, lambda found: emit(Diagnosed(found)))
                version = ready.source.exact_version
                record.source = f"{ready.source}" + (f" ({version})" if version else "")
                emit(Note(f"source: {record.source}"))
            deadline = Deadline.after(
                clock,
                plan.timeout,
                f"the build (buildTimeoutInMinutes is {plan.timeout / 60:g})",
                "raise `buildTimeoutInMinutes` (6 to 960), or look at the last output for what did not end",
                stop=queued.stop,
            )
            state, failure = _Build(ready, platform, staging, policy, record, scope, deadline).run()
    except CancelledError as error:
        state, failure = RunState.CANCELED, Failure.of(error)
    except ImagewrightError as error:
        state, failure = RunState.FAILED, Failure.of(error)
    return record.finish(state, failure, scope.left_behind, scope.kept)


@contextmanager
def _stopping(deadline: Deadline) -> Iterator[None]:
    """Whatever ends the build before its time ends what waits in its threads."""
    try:
        yield
    except BaseException:
        deadline.stop.set()
        raise


@dataclass(frozen=True, slots=True)
class _Build:
    """A plan that was made exact, on its way; what changes meanwhile is in `record` and `scope`."""

    ready: Exact
    platform: Platform
    staging: Staging
    policy: CachePolicy
    record: Record
    scope: Scope
    deadline: Deadline

    @property
    def plan(self) -> Plan:
        return self.ready.plan

    def run(self) -> Ended:
        if self.plan.validation.source_only:
            with self.record.phase(Phase.VALIDATING):
                self._validate_on(self.ready.source)
            return RunState.SUCCEEDED, None
        keys = self.ready.keys
        with self.platform.using((*keys.keys, keys.captured)):
            disk = self.platform.captured(keys.captured) if self.policy.reuse else None
            if disk is None:
                disk = self._made()
            else:
                self.record.emit(Note("nothing changed since the last build: its captured disk is used"))
                self._cached(len(self.plan.steps))
            invalid = self._validated(disk)
            if invalid is not None and not self.plan.validation.continue_distribute_on_failure:
                raise invalid
            return self._distributed(disk, invalid)

    # --- the machine ---

    def _made(self) -> Disk:
        """A machine that the cloud takes back is replaced; the build goes on behind its last checkpoint."""
        for _ in range(MACHINES - 1):
            try:
                return self._made_on_one_machine()
            except MachineLostError as lost:
                self.record.emit(Note(lost.message, Level.WARNING, "the build goes on on another machine"))
                self.record.begin_again()
        return self._made_on_one_machine()

    def _made_on_one_machine(self) -> Disk:
        with self.record.phase(Phase.BUILDING):
            machine, done = self._machine()
        optimizers = self.ready.finish.optimizers
        with self.record.phase(Phase.CUSTOMIZING), self._kept_on_error(machine, self.plan.on_customizer_error):
            self._cached(done)
            self._customize(machine, done)
            if not optimizers:
                return self._captured(machine)
        with self.record.phase(Phase.OPTIMIZING), self._kept_on_error(machine, self.plan.on_customizer_error):
            for step in optimizers:
                self._perform(step, StepKind.OPTIMIZER, len(optimizers), machine)
            return self._captured(machine)

    def _machine(self) -> tuple[Machine, int]:
        """A machine, and how many steps it has already behind it."""
        keys, source = self.ready.keys.keys, self.ready.source
        if self.policy.reuse:
            for done in range(len(self.plan.steps), -1, -1):
                machine = self.platform.resume(keys[done], self.plan, self.scope, self.deadline)
                if machine is not None:
                    return machine, done
        machine = self.platform.boot(source, self.plan, self.scope, self.deadline)
        prepare = Step(0, "prepare", "Prepare", deprovision.prepare(source.os_type), self.plan.origin)
        warn = deprovision.as_warnings(self.record.emit)
        try:
            perform(prepare, machine.guest, self.staging, warn, self.deadline)
        except StepFailedError as failed:
            raise PlatformError(f"the build VM could not be prepared: {failed.reason}", hint=failed.hint) from failed
        if self.policy.after_boot():
            machine.checkpoint(keys[0], f"{source} after its first boot")
        return machine, 0

    def _customize(self, machine: Machine, done: int) -> None:
        steps = self.plan.steps
        unkept = 0.0
        for step in steps[done:]:
            unkept += self._perform(step, StepKind.CUSTOMIZER, len(steps), machine)
            secret = holds_secret(steps[: step.number], self.plan.mask)
            if self.policy.after_step(unkept, last=step.number == len(steps), secret=secret):
                note = f"{self.plan.name} after {step.number} {step.name}"
                machine.checkpoint(self.ready.keys.keys[step.number], note)
                unkept = 0.0

    def _captured(self, machine: Machine) -> Disk:
        self._perform(self.ready.finish.deprovision, StepKind.DEPROVISION, 1, machine)
        machine.guest.close()
        key = self.ready.keys.captured if self.policy.keep is not Keep.NONE else ""
        return machine.capture(key, self.deadline)

    def _perform(self, step: Step, kind: StepKind, total: int, machine: Machine) -> float:
        """Returns how many seconds it took."""

        def work() -> None:
            perform(step, machine.guest, self.staging, self.record.emit, self.deadline)

        try:
            return self.record.step(step, kind, total, work)
        except StepFailedError as failed:
            raise _failed(failed, kind) from failed

    def _cached(self, done: int) -> None:
        for step in self.plan.steps[:done]:
            self.record.cached(step, len(self.plan.steps))

    @contextmanager
    def _kept_on_error(self, machine: Machine, on_error: OnError) -> Iterator[None]:
        """With `errorHandling: abort` a machine whose step failed is kept, and the user is told how to reach it."""
        try:
            yield
        except (CustomizationError, ValidationError):
            if on_error is OnError.ABORT:
                self.scope.keep_all = True
                try:
                    machine.keep()
                except OSError as error:
                    self.record.emit(Note(f"the key to the machine could not be written: {error}", Level.WARNING))
                hint = "run `imagewright cleanup` when you have seen enough"
                self.record.emit(Note(f"the machine is kept: {machine.access()}", Level.WARNING, hint))
            raise

    # --- what comes of it ---

    def _validated(self, disk: Disk) -> ValidationError | None:
        """What the validators found; a disk that has passed them before is not asked again."""
        validators = self.plan.validation.steps
        if not validators:
            return None
        passed = verdict(disk, validators, self.plan.mask)
        if passed and self.policy.reuse and self.platform.cache.has(passed):
            self.record.emit(Note("this disk has passed these validators before"))
            return None
        try:
            with self.record.phase(Phase.VALIDATING):
                self._validate_on(disk)
        except ValidationError as error:
            return error
        if passed and self.policy.keep is not Keep.NONE:
            try:
                self.platform.cache.mark(passed, f"{self.plan.name} passed its validators")
            except PlatformError as error:
                self.record.emit(Note(f"the next build validates again: {error}", Level.WARNING, error.hint))
        return None

    def _validate_on(self, start: ExactSource | Disk) -> None:
        machine = self.platform.boot(start, self.plan, self.scope, self.deadline)
        validators = self.plan.validation.steps
        with self._kept_on_error(machine, self.plan.on_validation_error):
            for step in validators:
                self._perform(step, StepKind.VALIDATOR, len(validators), machine)
        machine.guest.close()
        if isinstance(machine, Ends):
            machine.end()

    def _distributed(self, disk: Disk, invalid: ValidationError | None) -> Ended:
        with self.record.phase(Phase.DISTRIBUTING):
            done = distribute(self.plan, disk, self.ready.source, self.platform, self.scope, self.deadline)
        self.record.outputs = done.outputs
        self.record.target_failures = tuple(Failure.of(error) for _, error in done.failures)
        if invalid is not None:
            return RunState.FAILED, Failure.of(invalid)
        if not done.failures:
            return RunState.SUCCEEDED, None
        _, first = done.failures[0]
        summary = (BuildTimeoutError if isinstance(first, BuildTimeoutError) else DistributionError)(
            f"{len(done.failures)} of {len(self.plan.targets)} targets failed: {first}",
            hint=first.hint,
            origin=first.origin,
        )
        return RunState.PARTIALLY_SUCCEEDED if done.outputs else RunState.FAILED, Failure.of(summary)


def _failed(failed: StepFailedError, kind: StepKind) -> ImagewrightError:
    validating = kind is StepKind.VALIDATOR
    where = f"{kind.value} {failed.step.number} ({failed.step.type} {failed.step.name!r})"
    error = (ValidationError if validating else CustomizationError)(
        f"{where} failed: {failed.reason}", hint=failed.hint, origin=failed.step.origin
    )
    error.output = failed.output
    return error
