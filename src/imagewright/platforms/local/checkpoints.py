"""The store of checkpoints: frozen disk layers, with or without the RAM state that goes with them.

    <root>/<key16>-<random>/
        parent          name of the directory whose layers these lie on, or empty: on the base disk
        lock            held shared by every build that stands on these layers; exclusively while they are deleted
        disk-<n>.qcow2  the frozen layers, the OS disk first
        ram, state      the memory of a live machine and the state of its devices; a captured disk has none
        seed.img, variables.fd
        meta.json       written last: a directory without it is not used
        layers.json     what meta.json was, in a directory that is kept only for what lies on it
        used            its time of change is the time of the last use

A layer names the one below it by path, so a directory is deleted only when nothing lies on it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagewright.core.clock import Clock, fresh_name
from imagewright.core.ports import CacheLimits, Kept
from imagewright.platforms.local.sparse import sha256

META = "meta.json"
LAYERS = "layers.json"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class Base:
    """The disk at the bottom, and what it looked like when the layers were made: bytes, and nanoseconds of change."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> Base:
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a finished checkpoint.

    `sizes` are the disks' virtual sizes in bytes, `files` maps a name to its SHA-256, `machine` is the machine's own.
    """

    format: int
    key: str
    kind: str
    note: str
    created: str
    base: Base
    sizes: tuple[int, ...]
    files: dict[str, str]
    machine: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Entry:
    directory: Path
    meta: Meta

    def disk(self, number: int) -> Path:
        return self.directory / layer_name(number)


class DamagedError(Exception):
    """A checkpoint is not what it was when it was made."""


def layer_name(number: int) -> str:
    return f"disk-{number}.qcow2"


class Checkpoints:
    """Satisfies core.ports.Cache. Safe for several processes at once."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self._clock = clock
        self._held: dict[Path, int] = {}

    # --- using ---

    def find(self, key: str, kind: str) -> Entry | None:
        """The newest finished checkpoint of `key`; it is held until `release`, so that nobody deletes it."""
        found = [entry for entry in self._entries(key[:16]) if entry.meta.key == key and entry.meta.kind == kind]
        for entry in sorted(found, key=lambda one: one.meta.created, reverse=True):
            if all(self._hold(directory) for directory in self._line(entry.directory)) and _read_meta(
                entry.directory / META
            ):
                (entry.directory / "used").touch()
                return entry
        return None

    def new(self, key: str, parent: Path | None) -> Path:
        """An empty, held directory for the layers that lie on those of `parent`."""
        directory = self.root / f"{key[:16]}-{fresh_name(6)}"
        directory.mkdir(parents=True, mode=0o700)
        (directory / "parent").write_text(parent.name if parent else "")
        self._hold(directory)
        return directory

    def finish(self, directory: Path, meta: Meta) -> None:
        """Hash the files and declare the checkpoint usable."""
        names = [path.name for path in directory.iterdir() if path.name not in ("parent", "lock")]
        meta = dataclasses.replace(meta, files={name: sha256(directory / name) for name in names})
        (directory / "used").touch()
        _write(directory / META, json.dumps(dataclasses.asdict(meta), indent=1))

    def describe(
        self, key: str, kind: str, note: str, base: Base, sizes: tuple[int, ...], machine: dict[str, str | int]
    ) -> Meta:
        return Meta(FORMAT, key, kind, note, self._clock.now().isoformat(), base, sizes, {}, machine)

    def verify(self, entry: Entry) -> None:
        """Read every file of the checkpoint and of those it lies on. Raises DamagedError with what is wrong."""
        base = Path(entry.meta.base.path)
        if not base.is_file() or Base.of(base) != entry.meta.base:
            raise DamagedError(f"its base disk {base} has changed or is gone")
        for directory in self._line(entry.directory):
            meta = _read_meta(directory / META) or _read_meta(directory / LAYERS)
            if meta is None:
                raise DamagedError(f"{directory.name}, on which it lies, was never finished")
            for name, expected in meta.files.items():
                wanted = directory == entry.directory or name.startswith("disk-")
                if wanted and sha256(directory / name) != expected:
                    raise DamagedError(f"{directory.name}/{name} is not what it was")

    def discard(self, entry: Entry) -> None:
        """Never use this checkpoint again; what lies on it keeps its layers."""
        _hollow(entry.directory)

    @contextmanager
    def using(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])

    # --- the port ---

    def has(self, key: str) -> bool:
        return any(entry.meta.key == key for entry in self._entries(key[:16]))

    def mark(self, key: str, note: str) -> None:
        self.finish(self.new(key, None), self.describe(key, "verdict", note, Base("", 0, 0), (), {}))

    def list(self) -> Sequence[Kept]:
        return sorted((_kept(entry) for entry in self._entries("")), key=lambda kept: kept.used, reverse=True)

    def prune(self, limits: CacheLimits) -> Sequence[Kept]:
        if not self.root.is_dir():
            return ()
        gone: list[Kept] = []
        with self._pruning():
            self._delete_unfinished()
            for entry in sorted(self._entries(""), key=_used):
                if self._over(entry, limits):
                    kept = _kept(entry)
                    if self._delete(entry):
                        gone.append(kept)
                        self._delete_unfinished()
        return gone

    # --- deleting ---

    def size(self) -> int:
        """Bytes on the disk of everything in the store."""
        return sum(_size(directory) for directory in self._directories())

    def _over(self, entry: Entry, limits: CacheLimits) -> bool:
        unused = self._clock.now().timestamp() - _used(entry)
        if limits.age is not None and unused > limits.age:
            return True
        return limits.size is not None and self.size() > limits.size

    def _delete(self, entry: Entry) -> bool:
        """Delete one checkpoint, but for layers that others lie on. False when a build stands on it."""
        with _exclusive(entry.directory) as ours:
            if ours:
                _hollow(entry.directory)
            return ours

    def _delete_unfinished(self) -> None:
        """Delete what is neither finished nor lain upon, from the leaves down."""
        again = True
        while again:
            again = False
            parents = {_parent_name(directory) for directory in self._directories()}
            for directory in self._directories():
                if (directory / META).exists() or directory.name in parents:
                    continue
                with _exclusive(directory) as ours:
                    if ours:
                        shutil.rmtree(directory)
                        again = True

    # --- looking ---

    def _directories(self) -> Sequence[Path]:
        return [path for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []

    def _entries(self, prefix: str) -> Iterator[Entry]:
        for directory in self._directories():
            if directory.name.startswith(prefix) and (meta := _read_meta(directory / META)) is not None:
                yield Entry(directory, meta)

    def _line(self, directory: Path) -> Sequence[Path]:
        """`directory` and all that it lies on, the top first."""
        line = [directory]
        while name := _parent_name(line[-1]):
            line.append(self.root / name)
        return line

    def _hold(self, directory: Path) -> bool:
        if directory in self._held:
            return True
        try:
            descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._held[directory] = descriptor
        return True

    @contextmanager
    def _pruning(self) -> Iterator[None]:
        descriptor = os.open(self.root / ".prune", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _read_meta(path: Path) -> Meta | None:
    """What a meta file says; None when it is missing, cut off, or of another format."""
    try:
        fields = json.loads(path.read_text("utf-8"))
        meta = Meta(**{**fields, "base": Base(**fields["base"]), "sizes": tuple(fields["sizes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return meta if meta.format == FORMAT else None


def _hollow(directory: Path) -> None:
    """Take away all but the layers: first the word that it may be used, then the bytes."""
    (directory / META).replace(directory / LAYERS)
    for path in directory.iterdir():
        if path.name not in ("parent", "lock", LAYERS) and not path.name.startswith("disk-"):
            path.unlink()


def _kept(entry: Entry) -> Kept:
    return Kept(
        key=entry.meta.key,
        kind=entry.meta.kind,
        note=entry.meta.note,
        size=_size(entry.directory),
        created=datetime.fromisoformat(entry.meta.created),
        used=datetime.fromtimestamp(_used(entry), UTC),
        parent=_parent_name(entry.directory),
    )


def _used(entry: Entry) -> float:
    try:
        return (entry.directory / "used").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _parent_name(directory: Path) -> str:
    try:
        return (directory / "parent").read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def _size(directory: Path) -> int:
    total = 0
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


@contextmanager
def _exclusive(directory: Path) -> Iterator[bool]:
    """Whether nobody else holds the directory; nobody can until the block ends."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = True
        except OSError:
            ours = False
        yield ours
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    partial.touch(mode=0o600)
    partial.write_text(text, "utf-8")
    partial.replace(path)
