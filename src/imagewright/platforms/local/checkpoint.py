"""One checkpoint: a directory of frozen disk layers, with or without the memory that goes with them.

parent          name of the directory whose layers these lie on, or empty: on the base disk
lock            held shared by every build that stands on these layers; exclusively while they are deleted
disk-<n>.qcow2  the frozen layers, the OS disk first
ram, state      the memory of a live machine and the state of its devices; a captured disk has none
seed.img, variables.fd
meta.json       written last: a directory without it is not used
layers.json     the like of meta.json, in a directory that is kept only for what lies on it
used            its time of change is the time of the last use
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagewright.core.errors import PlatformError
from imagewright.core.files import write_whole
from imagewright.core.ports import Kept, KeptKind

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

    def is_there(self) -> bool:
        """Whether it is the same disk still: layers find the one below them by its path."""
        path = Path(self.path)
        return path.is_file() and Base.of(path) == self

    def check(self) -> None:
        """Raises PlatformError where another disk has taken its place."""
        if not self.is_there():
            raise PlatformError(
                f"the disk {self.path}, on which this build stands, was changed or replaced meanwhile",
                hint="build again, and give a new disk another name: nothing was published",
            )


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a finished checkpoint.

    `sizes` are the disks' virtual sizes in bytes, `files` maps a name to its SHA-256, `machine` is the machine's own.
    """

    format: int
    key: str
    kind: KeptKind
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


def write_meta(path: Path, meta: Meta) -> None:
    write_whole(path, json.dumps(asdict(meta), indent=1), 0o600)


def read_meta(path: Path) -> Meta | None:
    """What a meta file says; None when it is missing, cut off, or of another format."""
    try:
        fields = json.loads(path.read_text("utf-8"))
        kind, base = KeptKind(fields["kind"]), Base(**fields["base"])
        meta = Meta(**{**fields, "kind": kind, "base": base, "sizes": tuple(fields["sizes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return meta if meta.format == FORMAT else None


def hollow(directory: Path) -> None:
    """Take away all but the layers: first the word that it may be used, then the bytes. Another may do so too."""
    with contextlib.suppress(FileNotFoundError):
        (directory / META).replace(directory / LAYERS)
    for path in directory.iterdir():
        if path.name != LAYERS and not is_layer(path):
            path.unlink(missing_ok=True)


def is_layer(path: Path) -> bool:
    """Whether it stays as long as something lies on the directory."""
    return path.name in ("parent", "lock") or path.name.startswith("disk-")


def as_kept(entry: Entry) -> Kept:
    return Kept(
        key=entry.meta.key,
        kind=entry.meta.kind,
        note=entry.meta.note,
        size=size_of(entry.directory),
        created=datetime.fromisoformat(entry.meta.created),
        used=datetime.fromtimestamp(used(entry), UTC),
        parent=parent_name(entry.directory),
    )


def used(entry: Entry) -> float:
    try:
        return (entry.directory / "used").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def parent_name(directory: Path) -> str:
    try:
        return (directory / "parent").read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def size_of(directory: Path) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_blocks * 512
    return total
