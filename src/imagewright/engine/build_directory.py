"""The directory of one build, `<home>/builds/<build-id>/`: its lock, its ledger, its log, its staging.

The lock is held as long as the building process lives, however it dies. So a directory that can be locked belongs to
nobody any more, and what its ledger lists can be deleted.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagewright.core.errors import OptionsError
from imagewright.core.locks import held
from imagewright.engine.ledger import FILE_NAME, pending

REMEMBERED = 20
"""How many finished builds keep their log."""


@dataclass(frozen=True, slots=True)
class BuildDirectory:
    path: Path

    @property
    def build_id(self) -> str:
        return self.path.name

    @property
    def ledger(self) -> Path:
        return self.path / FILE_NAME

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def staging(self) -> Path:
        return self.path / "staging"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def holder(self) -> Path:
        """A file with the id of the process that holds the lock, or held it."""
        return self.path / "pid"

    def started(self) -> datetime:
        """When the build began: the lock file is written once. Of a directory that is gone: long ago."""
        for file in (self.lock, self.path):
            with suppress(FileNotFoundError):
                return datetime.fromtimestamp(file.stat().st_mtime, UTC)
        return datetime.fromtimestamp(0, UTC)


def all_of(home: Path) -> tuple[BuildDirectory, ...]:
    """Every build of this user that left a directory, the oldest first. Others may delete some meanwhile."""
    found = (BuildDirectory(path) for path in _directories(home) if not _is_closed(path))
    return tuple(sorted(found, key=lambda one: (one.started(), one.build_id)))


def of_others(home: Path) -> tuple[Path, ...]:
    """The directories of builds that somebody else started in the same home: nobody else may look into them."""
    return tuple(sorted(path for path in _directories(home) if _is_closed(path)))


def _directories(home: Path) -> list[Path]:
    root = home / "builds"
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def _is_closed(path: Path) -> bool:
    try:
        next(path.iterdir(), None)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def occupied(home: Path, build_id: str) -> Iterator[BuildDirectory]:
    """A new directory for a build, locked while this is held; its staging is gone afterwards."""
    place = BuildDirectory(home / "builds" / build_id)
    try:
        place.path.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise OptionsError(
            f"{place.path} cannot be made: {error.strerror}", hint="choose another place with `--home`"
        ) from error
    with held(place.lock, wait=True) as mine:  # a clean-up takes each lock for a moment
        if not mine:
            raise OptionsError(f"{place.path} went away at once", hint="is something else deleting it?")
        with suppress(OSError):  # a full disk is told by whoever needs the room
            place.holder.write_text(str(os.getpid()))
        try:
            yield place
        finally:
            shutil.rmtree(place.staging, ignore_errors=True)


def end(place: BuildDirectory, how: signal.Signals) -> None:
    """Send a signal to the build whose lock somebody holds: as long as that is so, its process is that one."""
    with suppress(OSError, ValueError):
        process = int(place.holder.read_text())
        if process not in (0, 1, os.getpid()):
            os.kill(process, how)


@contextmanager
def borrowed(home: Path, name: str) -> Iterator[BuildDirectory]:
    """Like `occupied`, for what builds nothing: the whole directory is gone afterwards."""
    mine = None
    try:
        with occupied(home, name) as mine:
            yield mine
    finally:
        if mine is not None:
            shutil.rmtree(mine.path, ignore_errors=True)


def forget(home: Path, remembered: int = REMEMBERED) -> None:
    """Remove the directories of builds that are over and owe nothing, but for the newest; and all old staging."""
    clear_staging(home)
    over = [place for place in all_of(home) if not pending(place.ledger)]
    for place in over[: max(0, len(over) - remembered)]:
        with held(place.lock) as free:
            pass
        if free:  # no build ever comes back to its directory, and Windows removes no file that is open
            shutil.rmtree(place.path, ignore_errors=True)


def clear_staging(home: Path) -> None:
    """Remove what builds had staged that were killed."""
    for place in all_of(home):
        if place.staging.is_dir():
            with held(place.lock) as free:
                if free:
                    shutil.rmtree(place.staging, ignore_errors=True)
