"""`plan` and `build`, and what the newest images were built from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imagewright.app.order import Order
from imagewright.app.planned import planned
from imagewright.app.platform import platform_of, prune_quietly
from imagewright.app.results import refused, tell_result
from imagewright.app.settings import fresh_build_id, home_of, limits_of, policy_of
from imagewright.core.choices import Keep
from imagewright.core.clock import Clock, Deadline, SystemClock
from imagewright.core.errors import LeftBehindError
from imagewright.core.events import BuildFinished, Emit, Event, Level
from imagewright.core.result import BuildResult, RunState

if TYPE_CHECKING:
    from imagewright.core.plan import Plan, Target
    from imagewright.core.ports import Staging
    from imagewright.engine.build_directory import BuildDirectory
    from imagewright.engine.explain import PlanReport
    from imagewright.render.redact import Redact

PLAN_SECONDS = 60 * 60.0


def plan(order: Order, show: Redact) -> PlanReport:
    """What a build would do. Reads and downloads, creates no machine."""
    from imagewright.engine.build_directory import borrowed
    from imagewright.engine.explain import explain

    clock = SystemClock()
    chosen = planned(order, show)
    with (
        borrowed(home_of(order.options), fresh_build_id(clock)) as place,
        platform_of(order.options, place.path, show, clock, order.sign_in) as platform,
    ):
        report = explain(
            chosen,
            platform=platform,
            staging=staging_of(place, show),
            policy=policy_of(order.options),
            deadline=Deadline.after(clock, PLAN_SECONDS, "the plan"),
        )
    return show.masked(report)


def build(order: Order, show: Redact) -> BuildResult:
    """Run the template to its targets. What goes wrong during the build is in the result, what is wrong before it is
    raised; `--result` is written in both cases."""
    from imagewright.engine.build_directory import forget, occupied

    clock, options = SystemClock(), order.options
    tell_result(options, BuildResult("", "", options.platform, RunState.RUNNING))
    try:
        chosen = planned(order, show)
        forget(home_of(options))
        with occupied(home_of(options), fresh_build_id(clock)) as place, _logged(place, show, clock):
            result = _run(chosen, order, place, show, clock)
    except BaseException as error:
        tell_result(options, refused(options, error, show))
        raise
    tell_result(options, result)
    return result


def built_from(targets: Sequence[Target], order: Order, show: Redact) -> tuple[str | None, ...]:
    """For each target the tag of the source of its newest image, `""` without one, None where nobody can tell."""
    from imagewright.core.ports import Remembers

    clock = SystemClock()
    deadline = Deadline.after(clock, PLAN_SECONDS, "the look at the last images")
    with platform_of(order.options, home_of(order.options) / "builds", show, clock, order.sign_in) as platform:
        if not isinstance(platform, Remembers):
            return tuple(None for _ in targets)
        return tuple(platform.built_from(target, deadline) for target in targets)


def exit_code(result: BuildResult) -> int:
    """The exit code of a build that ran."""
    if result.failure is not None:
        return result.failure.exit_code
    return LeftBehindError.exit_code if result.left_behind else 0


def _run(plan: Plan, order: Order, place: BuildDirectory, show: Redact, clock: Clock) -> BuildResult:
    from imagewright.engine.ledger import Ledger
    from imagewright.engine.run import build as run

    def emit(event: Event) -> None:
        match event:
            case BuildFinished():
                show(BuildFinished(replace(event.result, log=str(place.log))))
            case _:
                show(event)

    with (
        platform_of(order.options, place.path, emit, clock, order.sign_in) as platform,
        closing(Ledger(place.ledger)) as ledger,
    ):
        result = run(
            plan,
            platform=platform,
            staging=staging_of(place, emit),
            ledger=ledger,
            emit=emit,
            clock=clock,
            policy=policy_of(order.options),
            build_id=place.build_id,
        )
        if result.state is not RunState.CANCELED and policy_of(order.options).keep is not Keep.NONE:
            level = Level.WARNING if result.failure is None else Level.DEBUG
            prune_quietly(platform, limits_of(order.options), show, level)
        return show.result(replace(result, log=str(place.log)))


@contextmanager
def _logged(place: BuildDirectory, show: Redact, clock: Clock) -> Iterator[None]:
    """Every event of this build, masked, also goes to its log."""
    from imagewright.render.jsonl import JsonLines

    place.log.touch(0o600)
    stream = place.log.open("a", encoding="utf-8")
    log = JsonLines(stream, clock)
    show.join(log)
    try:
        yield
    finally:
        show.leave(log)
        with suppress(OSError):  # that the log is not whole has been said
            stream.close()


def staging_of(place: BuildDirectory, emit: Emit) -> Staging:
    from imagewright.staging.directory import DirectoryStaging

    return DirectoryStaging(place.staging, emit)
