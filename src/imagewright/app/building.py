"""`plan` and `build`, and what the newest images were built from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.app.planned import Prepare, planned
from imagewright.app.platform import platform_of, prune_quietly
from imagewright.app.results import refused, tell_result
from imagewright.app.settings import fresh_build_id, home_of, limits_of, policy_of
from imagewright.core.clock import Clock, Deadline, SystemClock
from imagewright.core.errors import LeftBehindError
from imagewright.core.events import BuildFinished, Emit, Event
from imagewright.core.result import BuildResult, RunState
from imagewright.options import Options

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.core.plan import Plan, Target
    from imagewright.core.ports import Staging
    from imagewright.engine.build_directory import BuildDirectory
    from imagewright.engine.explain import PlanReport
    from imagewright.render.redact import Redact

PLAN_SECONDS = 60 * 60.0


def plan(
    options: Options,
    show: Redact,
    *,
    stdin: bytes = b"",
    directory: Path | None = None,
    prepare: Prepare | None = None,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
) -> PlanReport:
    """What a build would do. Reads and downloads, creates no machine. See `build` for `directory`."""
    from imagewright.engine.build_directory import borrowed
    from imagewright.engine.explain import explain

    clock = clock or SystemClock()
    chosen = planned(options, show, stdin, prepare, directory)
    with (
        borrowed(home_of(options), fresh_build_id(clock)) as place,
        platform_of(options, place.path, show, clock, sign_in) as platform,
    ):
        report = explain(
            chosen,
            platform=platform,
            staging=staging_of(place, show),
            policy=policy_of(options),
            deadline=Deadline.after(clock, PLAN_SECONDS, "the plan"),
        )
    return show.masked(report)


def build(
    options: Options,
    show: Redact,
    *,
    stdin: bytes = b"",
    directory: Path | None = None,
    prepare: Prepare | None = None,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
) -> BuildResult:
    """Run the template to its targets. What goes wrong during the build is in the result, what is wrong before it is
    raised; `--result` is written in both cases. Relative paths in the template start from `directory`, by default
    from its own."""
    from imagewright.engine.build_directory import forget, occupied

    clock = clock or SystemClock()
    tell_result(options, BuildResult("", "", options.platform, RunState.RUNNING))
    try:
        chosen = planned(options, show, stdin, prepare, directory)
        forget(home_of(options))
        with occupied(home_of(options), fresh_build_id(clock)) as place, _logged(place, show, clock):
            result = _run(chosen, options, place, show, clock, sign_in)
    except BaseException as error:
        tell_result(options, refused(options, error, show))
        raise
    tell_result(options, result)
    return result


def built_from(
    targets: Sequence[Target],
    options: Options,
    show: Redact,
    *,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
) -> tuple[str | None, ...]:
    """For each target the tag of the source of its newest image, `""` without one, None where nobody can tell."""
    from imagewright.core.ports import Remembers

    clock = clock or SystemClock()
    deadline = Deadline.after(clock, PLAN_SECONDS, "the look at the last images")
    with platform_of(options, home_of(options) / "builds", show, clock, sign_in) as platform:
        if not isinstance(platform, Remembers):
            return tuple(None for _ in targets)
        return tuple(platform.built_from(target, deadline) for target in targets)


def exit_code(result: BuildResult) -> int:
    """The exit code of a build that ran."""
    if result.failure is not None:
        return result.failure.exit_code
    return LeftBehindError.exit_code if result.left_behind else 0


def _run(
    plan: Plan, options: Options, place: BuildDirectory, show: Redact, clock: Clock, sign_in: SignIn | None
) -> BuildResult:
    from imagewright.engine.ledger import Ledger
    from imagewright.engine.run import build as run

    def emit(event: Event) -> None:
        match event:
            case BuildFinished():
                show(BuildFinished(replace(event.result, log=str(place.log))))
            case _:
                show(event)

    with (
        platform_of(options, place.path, emit, clock, sign_in) as platform,
        closing(Ledger(place.ledger)) as ledger,
    ):
        result = run(
            plan,
            platform=platform,
            staging=staging_of(place, emit),
            ledger=ledger,
            emit=emit,
            clock=clock,
            policy=policy_of(options),
            build_id=place.build_id,
        )
        if result.state is not RunState.CANCELED:
            prune_quietly(platform, limits_of(options), show)
        return show.masked(replace(result, log=str(place.log)))


@contextmanager
def _logged(place: BuildDirectory, show: Redact, clock: Clock) -> Iterator[None]:
    """Every event of this build, masked, also goes to its log."""
    from imagewright.render.jsonl import JsonLines

    place.log.touch(0o600)
    with place.log.open("a", encoding="utf-8") as stream:
        log = JsonLines(stream, clock)
        show.join(log)
        try:
            yield
        finally:
            show.leave(log)


def staging_of(place: BuildDirectory, emit: Emit) -> Staging:
    from imagewright.staging.directory import DirectoryStaging

    return DirectoryStaging(place.staging, emit)
