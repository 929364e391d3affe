"""A plan's source to a disk on this machine, with an exact version: the catalog, the image store, or a file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import assert_never

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit
from imagewright.core.files import digest_of, write_whole
from imagewright.core.plan import (
    DiskFile,
    ExactSource,
    Generation,
    ManagedImage,
    OsType,
    PlatformImage,
    SharedImageVersion,
    Source,
)
from imagewright.platforms.local import catalog, partitions, qemu_img
from imagewright.platforms.local.catalog import Bootstrap, Download, LocalFile
from imagewright.platforms.local.image_store import ImageStore, StoredImage
from imagewright.platforms.local.source_store import SourceStore


def resolve(
    source: Source,
    home: Path,
    emit: Emit,
    clock: Clock,
    deadline: Deadline,
) -> ExactSource:
    """The disk that `source` means right now. May bootstrap or download it to `home/sources`, which is said aloud.

    Raises PlatformError, or FetchError with the URL and the reason.
    """
    match source:
        case PlatformImage():
            return _platform_image(source, home, emit, clock, deadline)
        case ManagedImage(image_id):
            image = ImageStore(home / "images").managed(image_id, hold=True)
            if image is None:
                raise PlatformError(
                    f"the local image store has no {image_id}",
                    hint="build that image first, with a ManagedImage target of this id",
                )
            return _stored(source, image)
        case SharedImageVersion(version_id):
            return _stored(source, ImageStore(home / "images").version(version_id))
        case DiskFile(path):
            return _file(source, Path(path), "", home, OsType.LINUX, None, deadline)
        case _:
            assert_never(source)


def _platform_image(
    source: PlatformImage,
    home: Path,
    emit: Emit,
    clock: Clock,
    deadline: Deadline,
) -> ExactSource:
    recipe = catalog.find(source, home)
    store = SourceStore(home / "sources", emit, clock, deadline)
    match recipe.origin:
        case LocalFile(path, sha256):
            return _file(source, path, sha256, home, recipe.os_type, recipe.generation, deadline)
        case Bootstrap(release):
            base = store.bootstrapped(release, source.version)
        case Download():
            base = store.downloaded(recipe.origin, source.version)
        case _:
            assert_never(recipe.origin)
    return ExactSource(
        source,
        exact_version=base.version,
        identity=base.identity,
        os_type=recipe.os_type,
        generation=recipe.generation or partitions.generation(_head(base.disk, "qcow2")),
        architecture="x64",
        location=str(base.disk),
        size=base.size,
        plan=source.plan,
    )


def _stored(source: Source, image: StoredImage) -> ExactSource:
    return ExactSource(
        source,
        exact_version=image.version,
        identity=image.facts.identity,
        os_type=image.facts.os_type,
        generation=image.facts.generation,
        architecture=image.facts.architecture,
        location=str(image.disk),
        size=image.size,
        security_type=image.facts.security_type,
    )


def _file(
    source: Source,
    path: Path,
    sha256: str,
    home: Path,
    os_type: OsType,
    generation: Generation | None,
    deadline: Deadline,
) -> ExactSource:
    try:
        path = path.expanduser().resolve(strict=True)
        identity = _content(path, home, deadline)
    except OSError as error:
        raise PlatformError(
            f"the disk {path} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from error
    if sha256 and identity != sha256:
        raise PlatformError(f"{path} is not the disk of the catalog: its SHA-256 is {identity}, not {sha256}")
    info = qemu_img.info(path)
    if info.backing is not None:
        raise PlatformError(
            f"{path} is only what differs from {info.backing}", hint="qemu-img convert makes one whole disk of both"
        )
    if info.corrupt:
        raise PlatformError(
            f"{path} is marked as corrupt", hint="take another copy; `qemu-img check -r all` mends what can be mended"
        )
    head = _head(path, info.format)
    if not partitions.bootable(head):
        raise PlatformError(
            f"{path} is no disk that a machine starts from: it has no boot record",
            hint="a whole disk is wanted, as qcow2, raw or VHD and unpacked, not one partition or an archive",
        )
    return ExactSource(
        source,
        exact_version="",
        identity=identity,
        os_type=os_type,
        generation=generation or partitions.generation(head),
        architecture="x64",
        location=str(path),
        size=info.virtual_size,
    )


def _head(disk: Path, format: str) -> bytes:  # noqa: A002
    with tempfile.TemporaryDirectory(prefix="imagewright-head-") as folder:
        return qemu_img.head(disk, format, Path(folder) / "head", partitions.HEAD)


def _content(path: Path, home: Path, deadline: Deadline) -> str:
    """The SHA-256 of a file, remembered for as long as the file is the same by size, time and place."""
    stat = path.stat()
    key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ino}|{stat.st_dev}"
    memory = home / "sources" / "files.json"
    try:
        known = dict(json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        known = {}
    if not isinstance(known.get(key), str):
        others = {old: value for old, value in known.items() if not old.startswith(f"{path}|")}
        known = {**others, key: digest_of(path, deadline.check)}
        if path.stat().st_mtime_ns != stat.st_mtime_ns or path.stat().st_ino != stat.st_ino:
            raise PlatformError(f"{path} was changed or replaced while it was read", hint="build again")
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_whole(memory, json.dumps(known, indent=1) + "\n")
    return str(known[key])
