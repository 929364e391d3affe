"""The platform that options name, while it is open; and the small commands that need nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.app.settings import home_of, limits_of, settings_of
from imagewright.core.clock import Clock, SystemClock
from imagewright.core.errors import ImagewrightError
from imagewright.core.events import Emit, Level, Note
from imagewright.options import Options
from imagewright.options.table import PUBLISHER

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.core.ports import CacheLimits, Kept, Platform
    from imagewright.core.report import Check


@contextmanager
def platform_of(
    options: Options, work: Path, emit: Emit, clock: Clock, sign_in: SignIn | None = None
) -> Iterator[Platform]:
    from imagewright.platforms import load, opened, publisher
    from imagewright.platforms.elsewhere import Elsewhere

    settings = settings_of(options, work, sign_in)
    platform = load(options.platform, settings, emit, clock)
    if options.publish_to_azure:
        platform = Elsewhere(platform, publisher(PUBLISHER, settings, emit, clock))
    with opened(platform):
        yield platform


def cache_list(options: Options, show: Emit) -> tuple[Kept, ...]:
    """The checkpoints that are there."""
    with platform_of(options, home_of(options) / "builds", show, SystemClock()) as platform:
        return tuple(platform.cache.list())


def cache_prune(options: Options, show: Emit) -> tuple[Kept, ...]:
    """Delete the checkpoints over the limits, and say which."""
    with platform_of(options, home_of(options) / "builds", show, SystemClock()) as platform:
        return tuple(platform.cache.prune(limits_of(options)))


def prune_quietly(platform: Platform, limits: CacheLimits, show: Emit, level: Level) -> None:
    """After a build; a cache that cannot be pruned does not make it a failure, and is told at `level`."""
    try:
        for kept in platform.cache.prune(limits):
            show(Note(f"checkpoint {kept.key[:12]} ({kept.note}) was over the cache's limits", Level.DEBUG))
    except (ImagewrightError, OSError) as error:
        show(Note(f"the cache could not be pruned: {error}", level, getattr(error, "hint", "")))


def doctor(options: Options) -> tuple[Check, ...]:
    """What of this machine a build needs, and what to do where it is missing."""
    from imagewright.platforms import entry, find

    return tuple(find(entry(options.platform).checks)(settings_of(options, home_of(options) / "builds")))
