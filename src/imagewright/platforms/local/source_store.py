"""The base disks of marketplace images, kept from build to build.

    sources/NAME/lock  latest.json     one directory for each recipe: what was the latest when we last looked
    sources/NAME/0.20260711.42/        one for each version: disk.qcow2  meta.json

A version appears by one rename, whole; two builds that want the same wait for each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from imagewright.core.address import bare, shown
from imagewright.core.clock import MOMENT, Clock, Deadline, fresh_name
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit, Level, Note, Progress
from imagewright.core.files import digest_of, write_whole
from imagewright.core.locks import held
from imagewright.distributors import versioning
from imagewright.platforms.local import debian, debian_mirror, debian_version, downloads, qemu_img
from imagewright.platforms.local.catalog import Download
from imagewright.platforms.local.debian import DebianRelease

MAX_AGE = 24 * 3600.0
"""Seconds: for how long the answer to "what is the latest?" is believed."""

_LATEST = "latest"
LONGEST_NAME = 80
"""Characters of an image's own name in that of its directory."""


@dataclass(frozen=True, slots=True)
class Base:
    """A disk of the store. `identity` is the SHA-256 of the file, `size` the disk's virtual size in bytes."""

    version: str
    disk: Path
    identity: str
    size: int


class SourceStore:
    """The disks under `root`."""

    def __init__(self, root: Path, emit: Emit, clock: Clock, deadline: Deadline) -> None:
        self._root = root
        self._emit = emit
        self._clock = clock
        self._deadline = deadline

    def bootstrapped(self, release: DebianRelease, version: str) -> Base:
        mirror = debian_mirror.find()

        def newest() -> str:
            return debian_version.current(release.codename, mirror, debian.RECIPE, self._deadline.check)

        def make(folder: Path, target: Path, exact: str) -> None:
            self._say(f"bootstrapping Debian {release.number} ({exact}): a minute or two, and only once")
            debian.bootstrap(target, release, folder, self._say, mirror=mirror, check=self._deadline.check)

        return self._get(f"debian-{release.number}-{release.codename}-x64", version, newest, make)

    def downloaded(self, recipe: Download, version: str) -> Base:
        latest: list[downloads.Latest] = []

        def newest() -> str:
            latest.append(downloads.latest(recipe, self._deadline))
            return latest[0].version

        name = recipe.file_name[:LONGEST_NAME]

        def tell(done: int, total: int) -> None:
            self._emit(Progress(name, done, total))

        def make(folder: Path, target: Path, exact: str) -> None:
            self._say(f"downloading {shown(recipe.url)} ({exact}): only once")
            downloads.fetch(recipe, latest[0].checksum, folder, target, tell, self._deadline)

        return self._get(f"{name}-{hashlib.sha256(bare(recipe.url).encode()).hexdigest()[:8]}", version, newest, make)

    def _get(
        self, name: str, version: str, newest: Callable[[], str], make: Callable[[Path, Path, str], None]
    ) -> Base:
        place = self._root / name
        with self._locked(place):
            if version.lower() != _LATEST:
                return self._exactly(place, version)
            kept = self._kept(place)
            if kept is not None and self._is_fresh(place):
                return kept
            try:
                exact = newest()
            except PlatformError as error:
                if kept is None:
                    raise
                hint = f"{error.message}; building on {kept.version}, which is here already"
                self._emit(Note(f"whether {name} has changed could not be found out", Level.WARNING, hint))
                return kept
            base = _read(place / exact) or self._make(place, exact, make)
            with contextlib.suppress(OSError):  # then it is looked for again next time
                _write_json(place / "latest.json", {"version": exact, "looked": self._clock.now().isoformat()})
            return base

    def _make(self, place: Path, exact: str, make: Callable[[Path, Path, str], None]) -> Base:
        for left in place.glob("new-*"):  # we hold the lock: whoever made it is dead
            shutil.rmtree(left, ignore_errors=True)
        folder = place / f"new-{fresh_name()}"
        try:
            version = folder / "version"
            version.mkdir(parents=True)
            disk = version / "disk.qcow2"
            make(folder / "work", disk, exact)
            size = qemu_img.info(disk, "qcow2").virtual_size
            facts = {"version": exact, "sha256": digest_of(disk, self._deadline.check), "size": size}
            _write_json(version / "meta.json", {**facts, "made": self._clock.now().isoformat()})
            shutil.rmtree(place / exact, ignore_errors=True)
            version.rename(place / exact)
        except OSError as error:
            raise PlatformError(f"{place} could not be written: {error.strerror}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        base = _read(place / exact)
        if base is None:
            raise PlatformError(f"{place / exact} was made but cannot be read")
        return base

    def _exactly(self, place: Path, version: str) -> Base:
        base = _read(place / version) if versioning.parse(version) else None
        if base is None:
            there = ", ".join(str(found) for found in _versions(place))
            raise PlatformError(
                f"version {version} of {place.name} is not on this machine, and only the latest can be had",
                hint=f"use `latest`, or one of those that are here: {there}" if there else "use `latest`",
            )
        return base

    def _kept(self, place: Path) -> Base | None:
        """What was the latest when we looked, or else the highest that is here."""
        looked = [str(_read_json(place / "latest.json").get("version", ""))]
        for name in looked + [str(found) for found in reversed(_versions(place))]:
            if name and (base := _read(place / name)):
                return base
        return None

    def _is_fresh(self, place: Path) -> bool:
        try:
            looked = datetime.fromisoformat(str(_read_json(place / "latest.json")["looked"]))
            age = (self._clock.now() - looked).total_seconds()
        except (KeyError, ValueError, TypeError):
            return False
        return 0 <= age < MAX_AGE

    @contextmanager
    def _locked(self, place: Path) -> Iterator[None]:
        """Held while a disk is made, so waiting for it can take a minute."""
        told = False
        while True:
            with contextlib.ExitStack() as holding:
                try:
                    place.mkdir(parents=True, exist_ok=True)
                    free = holding.enter_context(held(place / "lock"))
                except OSError as error:
                    raise PlatformError(f"{place} cannot be written: {error.strerror}") from error
                if free:
                    yield
                    return
            if not told:
                self._say(f"another build is getting {place.name}: waiting for it")
                told = True
            self._deadline.wait(MOMENT)

    def _say(self, message: str) -> None:
        self._emit(Note(message))


def _versions(place: Path) -> list[versioning.Version]:
    return sorted(found for child in place.iterdir() if (found := versioning.parse(child.name)))


def _read(folder: Path) -> Base | None:
    """The disk in `folder`, or None if it is not whole."""
    facts = _read_json(folder / "meta.json")
    disk = folder / "disk.qcow2"
    try:
        base = Base(str(facts["version"]), disk, str(facts["sha256"]), int(str(facts["size"])))
    except (KeyError, ValueError):
        return None
    return base if disk.is_file() and base.version == folder.name else None


def _read_json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, value: dict[str, object]) -> None:
    write_whole(path, json.dumps(value, indent=1) + "\n")
