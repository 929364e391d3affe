"""`cleanup`: what builds that are over have left, by their ledgers, then by what the platform can tell."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.app.settings import home_of, settings_of
from imagewright.core.clock import Clock, Deadline, SystemClock
from imagewright.core.errors import NoCredentialError, OptionsError
from imagewright.core.events import Level, Note
from imagewright.core.locks import held
from imagewright.options import Options, Provenance

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.core.ownership import Owned
    from imagewright.core.ports import Platform
    from imagewright.core.report import CleanupReport
    from imagewright.engine.build_directory import BuildDirectory
    from imagewright.render.redact import Redact

CLEANUP_SECONDS = 30 * 60.0
LOOK_SECONDS = 0.5
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
KILLED_SECONDS = 10.0


def cleanup(
    options: Options,
    show: Redact,
    *,
    patience: float = 0.0,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
) -> CleanupReport:
    """Delete what the ledgers of earlier builds list; a build whose process is alive is left alone unless forced.

    `patience` is how many seconds a build that is over may take to end: one that is dying then still deletes by
    itself, or leaves its ledger to us; one that heard of nothing is ended.
    """
    from imagewright.core.report import CleanupReport
    from imagewright.engine.build_directory import BuildDirectory, all_of, clear_staging, of_others
    from imagewright.engine.ledger import pending
    from imagewright.engine.sweep import sweep

    clock = clock or SystemClock()
    home = home_of(options)
    places = all_of(home) if options.ledger is None else (BuildDirectory(_ledger(options).parent),)
    if options.ledger is None and (others := of_others(home)):
        names = ", ".join(path.name for path in others)
        hint = "whoever started them can run `imagewright cleanup`"
        show(Note(f"builds of another user were not looked into: {names}", Level.WARNING, hint))
    report = CleanupReport()
    clear_staging(home)
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
                report += sweep(file, delete, show)
            else:
                report += CleanupReport(running=(place.build_id,))
    return report if options.ledger is not None else report + _strays(options, show, clock, sign_in)


@contextmanager
def _over(place: BuildDirectory, patience: float, show: Redact, clock: Clock) -> Iterator[bool]:
    """Hold the lock of a build as soon as nobody else does; False where somebody still does and there is no patience.

    With `patience` the build is known to be over: in a container no signal of the runner has reached it. It is asked
    to end when half of the time is over, and made to at the end.
    """
    from imagewright.engine.build_directory import end

    begun = clock.monotonic()
    with held(place.lock) as free:
        if free or not patience:
            yield free
            return
    show(Note(f"build {place.build_id} still runs; its end is waited for"))
    for seconds, how in ((patience / 2, signal.SIGTERM), (patience, KILL), (patience + KILLED_SECONDS, None)):
        while clock.monotonic() < begun + seconds:
            clock.wait(LOOK_SECONDS)
            with held(place.lock) as free:
                if free:
                    yield free
                    return
        if how is not None:
            show(Note(f"build {place.build_id} still runs; it is sent {how.name}", Level.WARNING))
            end(place, how)
    yield False


def _strays(options: Options, show: Redact, clock: Clock, sign_in: SignIn | None) -> CleanupReport:
    """What builds of other machines left, where the platform can tell: their ledgers died with their machines."""
    from imagewright.core.report import CleanupReport
    from imagewright.engine.build_directory import BuildDirectory
    from imagewright.engine.sweep import delete_each
    from imagewright.platforms import entry, find

    strays = entry(options.platform).strays
    if not strays:
        return CleanupReport()
    place = BuildDirectory(home_of(options) / "builds" / "strays")
    try:
        found = find(strays)(settings_of(options, place.path, sign_in), clock, options.older_than)
    except NoCredentialError as error:  # what a ledger lists has been told: of the rest nobody knows
        if options.origin_of("platform").provenance is Provenance.COMMAND_LINE:
            raise  # whoever asks for what is left in Azure is not told that there is nothing
        show(Note(f"what other machines left behind was not looked for: {error}", Level.WARNING, error.hint))
        return CleanupReport()
    with _deleting(options, place, show, clock, sign_in) as (begin, delete):
        begin(options.platform, found)
        return delete_each(found, delete, show)


def _ledger(options: Options) -> Path:
    from imagewright.engine.ledger import is_ledger

    if options.ledger is None or not options.ledger.is_file():
        raise OptionsError(f"`--ledger`: there is no file {options.ledger}", hint="check the path")
    if not is_ledger(options.ledger):
        raise OptionsError(f"`--ledger`: {options.ledger} is no ledger", hint="it is called ledger.jsonl")
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
            return stack.enter_context(opened(load(name, settings_of(options, place.path, sign_in), show, clock)))

        def begin(name: str, owned: Sequence[Owned]) -> None:
            if owned and isinstance(begins := platform(name), Begins):
                begins.begin_deletions(owned, deadline)

        yield begin, lambda owned: platform(owned.platform).delete(owned, deadline)
