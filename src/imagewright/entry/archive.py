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
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from imagewright.core.errors import OptionsError

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the first that zip can tell; tar calls 1970 implausible."""

EPOCH_SECONDS = 315532800


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a link or an empty folder: `name` is its path in the archive, with slashes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Archive:
    """`folder` is the name of the directory in the guest. `size` counts the files' bytes, unpacked.

    `left_out` are links that could not be followed where links have to be.
    """

    path: Path
    sha256: str
    folder: str
    count: int
    size: int
    left_out: tuple[str, ...] = ()


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
    try:
        entries = tuple(
            sorted((each for each in found if not _excluded(each.name, exclude)), key=lambda each: each.name)
        )
    except OSError as error:
        raise OptionsError(
            f"build artifacts: {error.filename or given} cannot be read: {error.strerror}",
            hint="look at its rights, or name the files by a pattern",
        ) from error
    if not any(_is_file(each.path) for each in entries) or (whole.is_symlink() and not whole.exists()):
        shown = f"`{given}`"
        if not (whole.exists() or glob.has_magic(given)):
            raise OptionsError(f"build artifacts: there is no {shown}", hint=f"looked in {root.resolve()}")
        raise OptionsError(
            f"build artifacts: there is no file in {shown}",
            hint="look at the step that makes them" + (" and at the excluded patterns" if exclude else ""),
        )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-.") or "artifacts", entries


def tar(folder: str, entries: Sequence[Entry], directory: Path) -> Archive:
    """`<directory>/<digest>/<folder>.tar.gz`; modes, links and empty folders are kept, owners and times are not."""
    return _packed(_tar, folder, ".tar.gz", entries, directory)


def zipped(folder: str, entries: Sequence[Entry], directory: Path) -> Archive:
    """`<directory>/<digest>/<folder>.zip`; a link becomes what it leads to, one that leads nowhere is left out."""
    try:
        followed = tuple(each for entry in entries for each in _followed(entry, ()))
    except OSError as error:
        raise _unpackable(error, directory) from error
    archive = _packed(_zip, folder, ".zip", tuple(each for each in followed if each.path.exists()), directory)
    return replace(archive, left_out=tuple(each.name for each in followed if not each.path.exists()))


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
        raise _unpackable(error, directory) from error
    files = [each for each in entries if _is_file(each.path)]
    return Archive(path, sha256, folder, len(files), sum(each.size for each in files))


def _unpackable(error: OSError, directory: Path) -> OptionsError:
    return OptionsError(
        f"build artifacts: {error.filename or directory} cannot be packed: {error.strerror}",
        hint="look at the file's rights, or leave it out",
    )


# --- what belongs in ---


def _folder(path: Path) -> str:
    """As the user wrote it: a link is not followed."""
    return Path(os.path.abspath(path)).name  # noqa: PTH100


def _walk(directory: Path, root: Path) -> Iterator[Entry]:
    inside = sorted(directory.iterdir())
    if not inside and directory != root:
        yield _entry(directory, root)
    for path in inside:
        if _is_folder(path):
            yield from _walk(path, root)
        elif _is_file(path):
            yield _entry(path, root)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_file(path: Path) -> bool:
    """A link counts as what it is, wherever it leads to; a socket or a device is nothing to bring."""
    return path.is_symlink() or path.is_file()


def _entry(path: Path, root: Path) -> Entry:
    size = 0 if path.is_symlink() or path.is_dir() else path.stat().st_size
    return Entry(path.relative_to(root).as_posix(), path, size)


def _followed(entry: Entry, above: tuple[Path, ...]) -> Iterator[Entry]:
    """An entry without links: what they lead to is under their name. `above` are the folders that led here."""
    if not entry.path.is_symlink() or not entry.path.exists():
        yield entry
        return
    target, here = entry.path.resolve(), entry.path.parent.resolve()
    if target.is_file():
        yield Entry(entry.name, target, target.stat().st_size)
    elif target.is_dir() and target not in (*above, here, *here.parents):
        for each in _walk(target, target):
            yield from _followed(replace(each, name=f"{entry.name}/{each.name}"), (*above, target))


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
    if _is_file(path):
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
        folders = {name: path for each in entries for name, path in _folders(each)}
        for name, path in sorted(folders.items()):
            head = tarfile.TarInfo(name)
            head.type, head.mode, head.mtime = tarfile.DIRTYPE, stat.S_IMODE(path.stat().st_mode), EPOCH_SECONDS
            archive.addfile(head)
        for each in entries:
            if not _is_folder(each.path):
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


def _folders(entry: Entry) -> Iterator[tuple[str, Path]]:
    """The folders that an entry is in, by their names in the archive; an empty folder is one itself."""
    if _is_folder(entry.path):
        yield entry.name, entry.path
    for parent, path in zip(PurePosixPath(entry.name).parents, entry.path.parents, strict=False):
        if str(parent) != ".":
            yield str(parent), path


def _zip(file: Path, entries: Sequence[Entry]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for each in entries:
            if each.path.is_dir():
                archive.writestr(zipfile.ZipInfo(f"{each.name}/", EPOCH), b"")
                continue
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
