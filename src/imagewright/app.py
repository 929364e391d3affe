"""The only file that knows everybody: validate, plan, build, cleanup and the small commands.

Each takes `Options` and gives data back; nothing is printed here. Everything is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.core.clock import Clock, Deadline, SystemClock, fresh_name
from imagewright.core.errors import CancelledError, ImagewrightError, LeftBehindError, OptionsError, TemplateError
from imagewright.core.events import BuildFinished, Diagnosed, Emit, Event, Level, Note
from imagewright.core.result import BuildResult, Failure, RunState
from imagewright.core.unknown import Unknown
from imagewright.options import Options
from imagewright.options.table import PUBLISHER

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.core.errors import Diagnostic
    from imagewright.core.ownership import Owned
    from imagewright.core.plan import Plan, Target
    from imagewright.core.ports import CacheLimits, Kept, Platform, Staging
    from imagewright.core.report import Check, CleanupReport, FileReport
    from imagewright.core.secret import Mask
    from imagewright.engine.build_directory import BuildDirectory
    from imagewright.engine.explain import PlanReport
    from imagewright.engine.resume import CachePolicy
    from imagewright.platforms import Settings
    from imagewright.platforms.azure.choices import AzureChoices
    from imagewright.render.redact import Redact
    from imagewright.template import ArmContext

DAY = 86400.0
NO_LIMIT_DAYS = 100 * 365.0
"""What is kept in Azure says when it may go: a hundred years are no limit."""
CLEANUP_SECONDS = 30 * 60.0
PLAN_SECONDS = 60 * 60.0
LOOK_SECONDS = 0.5

Prepare = Callable[["Plan"], "Plan"]
"""What an entry point does to a plan before it is run (build artifacts, tags of the pipeline)."""


# --- validate ---


def validate(options: Options, *, stdin: bytes = b"") -> tuple[FileReport, ...]:
    """Every finding about each file. No network, no SDK."""
    return tuple(_checked(file, options, stdin) for file in options.templates)


def _checked(file: str, options: Options, stdin: bytes) -> FileReport:
    from imagewright.core.report import FileReport
    from imagewright.template import validate_file

    checked = validate_file(
        file,
        text=_given(file, stdin),
        parameters=str(options.parameters) if options.parameters else None,
        overrides=dict(options.overrides),
        context=_context(options),
    )
    names = tuple(_name(template.name, file) for template in checked.templates)
    return FileReport(file, tuple(map(checked.mask, names)), checked.diagnostics, checked.mask)


def _name(name: str | Unknown, file: str) -> str:
    return "" if isinstance(name, Unknown) else name or Path(file).stem


# --- plan and build ---


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
    planned = _planned(options, show, stdin, prepare, directory)
    with (
        borrowed(_home(options), _build_id(clock)) as place,
        _platform(options, place.path, show, clock, sign_in) as platform,
    ):
        report = explain(
            planned,
            platform=platform,
            staging=_staging(place, show),
            policy=_policy(options),
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
        planned = _planned(options, show, stdin, prepare, directory)
        forget(_home(options))
        with occupied(_home(options), _build_id(clock)) as place, _logged(place, show, clock):
            result = _run(planned, options, place, show, clock, sign_in)
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
    with _platform(options, _home(options) / "builds", show, clock, sign_in) as platform:
        if not isinstance(platform, Remembers):
            return tuple(None for _ in targets)
        return tuple(platform.built_from(target, deadline) for target in targets)


def foreseen(options: Options) -> Plan | None:
    """The plan, as far as it can be made of the template before anybody has signed in; nothing is said of errors."""
    try:
        return _compiled(options, b"", None)[0]
    except (TemplateError, OptionsError):
        return None


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
        _platform(options, place.path, emit, clock, sign_in) as platform,
        closing(Ledger(place.ledger)) as ledger,
    ):
        result = run(
            plan,
            platform=platform,
            staging=_staging(place, emit),
            ledger=ledger,
            emit=emit,
            clock=clock,
            policy=_policy(options),
            build_id=place.build_id,
        )
        if result.state is not RunState.CANCELED:
            _prune_quietly(platform, _limits(options), show)
        return show.masked(replace(result, log=str(place.log)))


def _planned(options: Options, show: Redact, stdin: bytes, prepare: Prepare | None, directory: Path | None) -> Plan:
    """The one plan that the options speak of, with what they override."""
    chosen, warnings = _compiled(options, stdin, directory, show.learn)
    for warning in warnings:
        show(Diagnosed(warning))
    chosen = _overridden(chosen, options)
    return prepare(chosen) if prepare else chosen


def _compiled(
    options: Options, stdin: bytes, directory: Path | None, learn: Callable[[Mask], None] | None = None
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    from imagewright.template import plans

    try:
        found, warnings = plans(
            options.template,
            text=_given(options.template, stdin),
            parameters_file=str(options.parameters) if options.parameters else None,
            overrides=dict(options.overrides),
            context=_build_context(options),
            directory=directory,
        )
    except TemplateError as error:
        if learn is not None:
            learn(error.mask)
        raise
    if learn is not None:
        for each in found:
            learn(each.mask)
    return _chosen(found, options.name), warnings


def _chosen(found: Sequence[Plan], name: str) -> Plan:
    named = [each for each in found if not name or each.name == name]
    if len(named) == 1:
        return named[0]
    names = ", ".join(f"`{each.name}`" for each in found)
    if not named:
        raise OptionsError(f"the file has no image template `{name}`", hint=f"it has {names}")
    raise OptionsError(f"the file has {len(named)} image templates", hint=f"choose one with `--name`: {names}")


def _overridden(plan: Plan, options: Options) -> Plan:
    from imagewright.core.plan import DiskFile

    if options.source_disk is not None:
        if not options.source_disk.is_file():
            raise OptionsError(f"`--source-disk`: there is no file {options.source_disk}", hint="check the path")
        plan = replace(plan, source=DiskFile(str(options.source_disk.resolve())))
    if options.on_error is not None:
        plan = replace(plan, on_customizer_error=options.on_error, on_validation_error=options.on_error)
    if options.timeout is not None:
        plan = replace(plan, timeout=options.timeout * 60.0)
    return plan


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


def tell_result(options: Options, result: BuildResult) -> None:
    """Write what came out to the file that the options name, if they do."""
    if options.result is not None:
        from imagewright.render.result_json import write_result

        write_result(result, options.result)


def refused(options: Options, error: BaseException, show: Redact) -> BuildResult:
    """The result of a build that ended before it began."""
    from imagewright.engine.run import failure_of

    if isinstance(error, ImagewrightError):
        failure = failure_of(error)
    else:
        failure = Failure(type(error).__name__, str(error), "this is a defect of Imagewright")
    state = RunState.CANCELED if isinstance(error, CancelledError) else RunState.FAILED
    return show.masked(BuildResult("", "", options.platform, state, failure=failure))


# --- cleanup and the cache ---


def cleanup(
    options: Options,
    show: Redact,
    *,
    patience: float = 0.0,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
) -> CleanupReport:
    """Delete what the ledgers of earlier builds list; a build whose process is alive is left alone unless forced.

    `patience` is how many seconds a build may take to end: one that is dying then still deletes by itself, or leaves
    its ledger to us.
    """
    from imagewright.core.report import CleanupReport
    from imagewright.engine.build_directory import BuildDirectory, all_of, clear_staging
    from imagewright.engine.ledger import pending
    from imagewright.engine.sweep import sweep

    clock = clock or SystemClock()
    places = all_of(_home(options)) if options.ledger is None else (BuildDirectory(_ledger(options).parent),)
    report = CleanupReport()
    clear_staging(_home(options))
    for place in places:
        file = options.ledger or place.ledger
        young = options.older_than is not None and _age(place, clock) < options.older_than
        if young or not (pending(file) or patience):
            continue
        with (
            _deleting(options, place, show, clock, sign_in) as (_, delete),
            _over(place, patience, show, clock) as free,
        ):
            if free or options.force:
                done = sweep(file, delete, show)
                report = replace(report, deleted=report.deleted + done.deleted, left=report.left + done.left)
            else:
                report = replace(report, running=(*report.running, place.build_id))
    return report if options.ledger is not None else _strays(options, report, show, clock, sign_in)


@contextmanager
def _over(place: BuildDirectory, patience: float, show: Redact, clock: Clock) -> Iterator[bool]:
    """Hold the lock of a build as soon as nobody else does; False where somebody still does after `patience`."""
    from imagewright.engine.build_directory import locked

    until, told = clock.monotonic() + patience, False
    while True:
        with locked(place) as free:
            if free or clock.monotonic() >= until:
                yield free
                return
        if not told:
            show(Note(f"build {place.build_id} still runs; its end is waited for"))
            told = True
        clock.wait(LOOK_SECONDS)


def _strays(
    options: Options, report: CleanupReport, show: Redact, clock: Clock, sign_in: SignIn | None
) -> CleanupReport:
    """What builds of other machines left, where the platform can tell: their ledgers died with their machines."""
    from imagewright.core.report import Left
    from imagewright.engine.build_directory import BuildDirectory
    from imagewright.platforms import STRAYS, find

    if options.platform not in STRAYS:
        return report
    place = BuildDirectory(_home(options) / "builds" / "strays")
    found = find(STRAYS, options.platform)(_settings(options, place.path, sign_in), clock, options.older_than)
    with _deleting(options, place, show, clock, sign_in) as (begin, delete):
        begin(options.platform, found)
        for owned in found:
            try:
                delete(owned)
            except ImagewrightError as error:
                show(Note(f"could not delete {owned}: {error}", Level.WARNING, error.hint))
                report = replace(report, left=(*report.left, Left(owned, str(error), error.hint)))
            else:
                show(Note(f"deleted {owned}"))
                report = replace(report, deleted=(*report.deleted, owned))
    return report


def _ledger(options: Options) -> Path:
    if options.ledger is None or not options.ledger.is_file():
        raise OptionsError(f"`--ledger`: there is no file {options.ledger}", hint="check the path")
    return options.ledger


def _age(place: BuildDirectory, clock: Clock) -> float:
    return (clock.now() - place.started()).total_seconds()


@contextmanager
def _deleting(
    options: Options, place: BuildDirectory, show: Redact, clock: Clock, sign_in: SignIn | None
) -> Iterator[tuple[Callable[[str, Sequence[Owned]], None], Callable[[Owned], None]]]:
    """Begins deletions on one platform, and deletes through the platform that each record names."""
    from imagewright.core.ports import Begins
    from imagewright.platforms import load, opened

    deadline = Deadline.after(clock, CLEANUP_SECONDS, "the clean-up")
    with ExitStack() as stack:

        @cache
        def platform(name: str) -> Platform:
            return stack.enter_context(opened(load(name, _settings(options, place.path, sign_in), show, clock)))

        def begin(name: str, owned: Sequence[Owned]) -> None:
            if owned and isinstance(begins := platform(name), Begins):
                begins.begin_deletions(owned, deadline)

        yield begin, lambda owned: platform(owned.platform).delete(owned, deadline)


def cache_list(options: Options, show: Emit, *, clock: Clock | None = None) -> tuple[Kept, ...]:
    """The checkpoints that are there."""
    with _platform(options, _home(options) / "builds", show, clock or SystemClock()) as platform:
        return tuple(platform.cache.list())


def cache_prune(options: Options, show: Emit, *, clock: Clock | None = None) -> tuple[Kept, ...]:
    """Delete the checkpoints over the limits, and say which."""
    with _platform(options, _home(options) / "builds", show, clock or SystemClock()) as platform:
        return tuple(platform.cache.prune(_limits(options)))


def _prune_quietly(platform: Platform, limits: CacheLimits, show: Emit) -> None:
    """After a build; a cache that cannot be pruned does not make it a failure."""
    try:
        for kept in platform.cache.prune(limits):
            show(Note(f"checkpoint {kept.key[:12]} ({kept.note}) was over the cache's limits", Level.DEBUG))
    except (ImagewrightError, OSError) as error:
        show(Note(f"the cache could not be pruned: {error}", Level.WARNING, getattr(error, "hint", "")))


def doctor(options: Options) -> tuple[Check, ...]:
    """What of this machine a build needs, and what to do where it is missing."""
    from imagewright.platforms import DOCTORS, find

    return tuple(find(DOCTORS, options.platform)(_settings(options, _home(options) / "builds")))


# --- from options to what others want ---


def _home(options: Options) -> Path:
    return options.home.absolute()


def _build_id(clock: Clock) -> str:
    return f"{clock.now():%Y%m%d-%H%M%S}-{fresh_name(6)}"


def _given(file: str, stdin: bytes) -> bytes | None:
    return stdin if file == "-" else None


def _context(options: Options) -> ArmContext:
    from imagewright.template import ArmContext

    return ArmContext(
        subscription_id=options.subscription,
        resource_group=options.resource_group,
        location=options.location,
        cloud=options.cloud or "",
    )


def _build_context(options: Options) -> ArmContext:
    return _context(with_whereabouts(options))


def with_whereabouts(options: Options) -> Options:
    """With the subscription, group and location that the platform takes where the options name none."""
    from imagewright.platforms import WHEREABOUTS, Whereabouts

    written_by = PUBLISHER if options.publish_to_azure else options.platform
    default = WHEREABOUTS.get(written_by, Whereabouts())
    return replace(
        options,
        subscription=options.subscription or default.subscription_id,
        resource_group=options.resource_group or default.resource_group,
        location=options.location or default.location,
    )


def _settings(options: Options, work: Path, sign_in: SignIn | None = None) -> Settings:
    from imagewright.platforms import Settings

    return Settings(
        home=_home(options),
        work=work,
        output=options.output,
        memory_mib=options.memory,
        cpus=options.cpus,
        accelerator=str(options.accelerator),
        subscription_id=options.subscription,
        resource_group=options.resource_group,
        location=options.location,
        sign_in=sign_in,
        azure=_azure(options),
    )


def _azure(options: Options) -> AzureChoices:
    from imagewright.engine.resume import Keep
    from imagewright.platforms.azure.choices import AzureChoices, Reach

    return AzureChoices(
        cloud=options.cloud or "",
        arm_endpoint=options.arm_endpoint,
        authority_host=options.authority_host,
        ca_bundle=options.ca_bundle,
        reach=Reach(str(options.reach)),
        agent_address=options.agent_address,
        private=options.private,
        fallback_sizes=options.fallback_sizes,
        zones=options.zones,
        spot=options.spot,
        ephemeral_os_disk=options.ephemeral_os_disk,
        os_disk_type=options.os_disk_type,
        tags=options.tags,
        storage_account=options.staging_account,
        storage_name=options.staging_account_name,
        storage_network=options.staging_account_network,
        cache_group=options.cache_group,
        cache_days=NO_LIMIT_DAYS if options.cache_age is None else options.cache_age / DAY,
        keeps=_policy(options).keep is not Keep.NONE,
        end_of_life_days=(options.end_of_life or 0.0) / DAY,
    )


@contextmanager
def _platform(
    options: Options, work: Path, emit: Emit, clock: Clock, sign_in: SignIn | None = None
) -> Iterator[Platform]:
    from imagewright.platforms import load, opened, publisher
    from imagewright.platforms.elsewhere import Elsewhere

    settings = _settings(options, work, sign_in)
    platform = load(options.platform, settings, emit, clock)
    if options.publish_to_azure:
        platform = Elsewhere(platform, publisher(PUBLISHER, settings, emit, clock))
    with opened(platform):
        yield platform


def _staging(place: BuildDirectory, emit: Emit) -> Staging:
    from imagewright.staging.directory import DirectoryStaging

    return DirectoryStaging(place.staging, emit)


def _policy(options: Options) -> CachePolicy:
    from imagewright.engine.resume import WORTH_SECONDS, CachePolicy, Keep
    from imagewright.platforms import WORTH

    if options.no_cache:
        return CachePolicy(reuse=False, keep=Keep.NONE)
    worth = WORTH.get(options.platform, WORTH_SECONDS)
    return CachePolicy(keep=Keep(str(options.cache)), worth_seconds=worth)


def _limits(options: Options) -> CacheLimits:
    from imagewright.core.ports import CacheLimits

    return CacheLimits(size=options.cache_size, age=options.cache_age)
