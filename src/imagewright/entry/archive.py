"""Files to one archive: what belongs in, and the same bytes for the same files on every run."""

from __future__ import annotations

import fnmatch
import glob
import gzip
import hashlib
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from imagewright.core.errors import OptionsError

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the first that zip can tell; tar calls 1970 implausible."""

EPOCH_SECONDS = 315532800


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or link: `name` is its path in the archive, with slashes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Archive:
    """`folder` is the name of the directory in the guest. `size` counts the files' bytes, unpacked."""

    path: Path
    sha256: str
    folder: str
    count: int
    size: int


def collect(given: str, exclude: Sequence[str] = (), base: Path | None = None) -> tuple[str, tuple[Entry, ...]]:
    """The name of the folder, and what belongs into it, sorted. `given` is a folder, a file or a pattern.

    Raises OptionsError when there is nothing. `exclude` patterns are matched against the path in the folder; one
    without a slash against the name of any file or directory.
    """
    root = base or Path()
    whole = root / given
    if whole.is_dir():
        folder, found = _folder(whole), _walk(whole, whole)
    elif whole.is_file():
        folder, found = whole.name.partition(".")[0], iter([_entry(whole, whole.parent)])
    else:
        folder, found = _matching(str(whole))
    entries = tuple(sorted((each for each in found if not _excluded(each.name, exclude)), key=lambda each: each.name))
    if not entries:
        shown = f"`{given}`"
        if not (whole.exists() or glob.has_magic(given)):
            raise OptionsError(f"build artifacts: there is no {shown}", hint=f"looked in {root.resolve()}")
        raise OptionsError(
            f"build artifacts: there is no file in {shown}",
            hint="look at the step that makes them" + (" and at the excluded patterns" if exclude else ""),
        )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-.") or "artifacts", entries


def tar(folder: str, entries: Sequence[Entry], directory: Path) -> Archive:
    """`<directory>/<digest>/<folder>.tar.gz`; modes and links are kept, owners and times are not."""
    return _packed(_tar, folder, ".tar.gz", entries, directory)


def zipped(folder: str, entries: Sequence[Entry], directory: Path) -> Archive:
    """`<directory>/<digest>/<folder>.zip`; a link becomes what it leads to."""
    return _packed(_zip, folder, ".zip", entries, directory)


def _packed(
    write: Callable[[Path, Sequence[Entry]], None],
    folder: str,
    suffix: str,
    entries: Sequence[Entry],
    directory: Path,
) -> Archive:
    draft = directory / f".{folder}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write(draft, entries)
        sha256 = _digest(draft)
        path = directory / sha256[:16] / f"{folder}{suffix}"
        path.parent.mkdir(exist_ok=True)
        draft.replace(path)
    except OSError as error:
        raise OptionsError(
            f"build artifacts: {error.filename or directory} cannot be packed: {error.strerror}",
            hint="look at the file's rights, or leave it out",
        ) from error
    return Archive(path, sha256, folder, len(entries), sum(each.size for each in entries))


# --- what belongs in ---


def _folder(path: Path) -> str:
    return path.resolve().name


def _walk(directory: Path, root: Path) -> Iterator[Entry]:
    for path in sorted(directory.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root)
        elif path.is_symlink() or path.is_file():
            yield _entry(path, root)


def _entry(path: Path, root: Path) -> Entry:
    size = 0 if path.is_symlink() else path.stat().st_size
    return Entry(path.relative_to(root).as_posix(), path, size)


def _matching(pattern: str) -> tuple[str, Iterator[Entry]]:
    """The files that a pattern matches, below the last directory that it names outright."""
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    root = Path(*parts[:fixed]) if fixed else Path()
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True, include_hidden=True))]  # noqa: PTH207
    inside = [path for path in found if path != root]
    return _folder(root), (
        each
        for path in dict.fromkeys(inside)
        for each in (_walk(path, root) if path.is_dir() and "**" not in pattern else _file(path, root))
    )


def _file(path: Path, root: Path) -> Iterator[Entry]:
    if path.is_symlink() or path.is_file():
        yield _entry(path, root)


def _excluded(name: str, patterns: Sequence[str]) -> bool:
    parts = PurePosixPath(name)
    for pattern in patterns:
        bare = pattern.strip().removesuffix("/").removeprefix("./")
        if "/" not in bare and any(fnmatch.fnmatchcase(part, bare) for part in parts.parts):
            return True
        above = [str(parent) for parent in parts.parents if str(parent) != "."]
        if any(_like(path, bare) for path in (name, *above)):
            return True
    return False


def _like(path: str, pattern: str) -> bool:
    """`**/` also matches no directory at all."""
    return fnmatch.fnmatchcase(path, pattern) or (
        "**/" in pattern and fnmatch.fnmatchcase(path, pattern.replace("**/", ""))
    )


# --- archives ---


def _tar(file: Path, entries: Sequence[Entry]) -> None:
    with (
        file.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for directory in sorted({parent for each in entries for parent in _parents(each.name)}):
            head = tarfile.TarInfo(directory)
            head.type, head.mode, head.mtime = tarfile.DIRTYPE, 0o755, EPOCH_SECONDS
            archive.addfile(head)
        for each in entries:
            _add(archive, each)


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    head = tarfile.TarInfo(entry.name)
    head.mtime = EPOCH_SECONDS
    if entry.path.is_symlink():
        head.type, head.mode, head.linkname = tarfile.SYMTYPE, 0o777, os.readlink(entry.path)  # noqa: PTH115 - as text
        archive.addfile(head)
        return
    head.mode, head.size = stat.S_IMODE(entry.path.stat().st_mode), entry.size
    with entry.path.open("rb") as content:
        archive.addfile(head, content)


def _parents(name: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(name).parents if str(parent) != "."]


def _zip(file: Path, entries: Sequence[Entry]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for each in entries:
            head = zipfile.ZipInfo(each.name, EPOCH)
            head.compress_type = zipfile.ZIP_DEFLATED
            head.external_attr = 0o644 << 16
            head.create_system = 3
            with each.path.open("rb") as content, archive.open(head, "w", force_zip64=each.size >= 1 << 31) as target:
                _copy(content, target)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(1 << 20):
        target.write(chunk)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
