"""The local stand-in for Azure's images: managed images and gallery image versions, under their ARM resource ids.

    images/NAME-DIGEST/lock            one directory for each managed image or image definition; held for moments only
    images/NAME-DIGEST/managed.json    names the folder that holds the managed image now
    images/NAME-DIGEST/versions/1.0.0/ a version of a definition, or the folder of a managed image:
        image.json  disk.qcow2  data-1.qcow2 ...

An entry appears by one rename, whole. A version is never overwritten; a managed image is replaced as AIB replaces it,
and the former one is deleted when no build lies on it any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from imagewright.core.clock import fresh_name
from imagewright.core.errors import DistributionError, PlatformError
from imagewright.core.files import write_whole
from imagewright.core.locks import held
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import Generation, OsType
from imagewright.distributors import versioning
from imagewright.distributors.versioning import Version
from imagewright.platforms.local import qemu_img

DIRECTORY = "directory"
_LATEST = "latest"
_FOLDER = "versions"
_DISK = "disk.qcow2"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an image besides its bytes. `id` is the ARM id as the user spelled it, of the version too."""

    id: str
    os_type: OsType
    generation: Generation
    architecture: str
    security_type: str
    identity: str
    source: str
    source_version: str
    created: str
    location: str = ""
    regions: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    exclude_from_latest: bool = False
    replication_mode: str = ""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of the store. `version` is `""` for a managed image; the disks are qcow2 files without backing."""

    facts: Facts
    version: str
    disk: Path
    data_disks: tuple[Path, ...]
    size: int


class ImageStore:
    """The images under `root`. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def managed(self, image_id: str, *, hold: bool = False) -> StoredImage | None:
        """`hold`: its files stay for as long as this process lives, also when another image takes its place."""
        folder = self._folder(image_id)
        if not (folder / "managed.json").exists():
            return None
        with held(folder / "lock", wait=True):
            try:
                current = json.loads((folder / "managed.json").read_text())["folder"]
            except (OSError, ValueError, KeyError, TypeError):
                return None
            image = _read(folder / _FOLDER / str(current), "")
            if image is not None and hold:
                fcntl.flock(os.open(image.disk.parent, os.O_RDONLY), fcntl.LOCK_SH)
            return image

    def versions(self, definition_id: str) -> tuple[StoredImage, ...]:
        """The versions of an image definition, lowest first."""
        found = [
            (version, image)
            for folder in _children(self._folder(definition_id) / _FOLDER)
            if (version := versioning.parse(folder.name)) and (image := _read(folder, folder.name))
        ]
        return tuple(image for _, image in sorted(found, key=lambda one: one[0]))

    def version(self, version_id: str) -> StoredImage:
        """The version named by an id that ends in `/versions/1.0.0` or `/versions/latest`.

        `latest` is the highest that is not excluded from it. Raises PlatformError with what there is.
        """
        definition_id, wanted = version_id.rsplit("/", 2)[::2]
        there = self.versions(definition_id)
        fitting = [
            image
            for image in there
            if image.version == wanted or (wanted.lower() == _LATEST and not image.facts.exclude_from_latest)
        ]
        if fitting:
            return fitting[-1]
        known = ", ".join(image.version for image in there)
        raise PlatformError(
            f"the local image store has no version `{wanted}` of {definition_id}",
            hint=f"it has {known}" if known else "build that image first, with a SharedImage target of this id",
        )

    @contextmanager
    def draft(self, image_id: str, owner: Owner) -> Iterator[Path]:
        """A folder to put an image together in; what is not kept is gone afterwards, at the latest with the next."""
        folder = self._folder(image_id)
        draft = folder / f"draft-{fresh_name()}"
        owned = owner.own(Owned("local", DIRECTORY, str(draft)))
        try:
            (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
            with held(folder / "lock", wait=True):
                for left in folder.glob("draft-*"):
                    _delete_unless_held(left)
                draft.mkdir()
                mine = os.open(draft, os.O_RDONLY)
                fcntl.flock(mine, fcntl.LOCK_EX)
        except OSError as error:
            raise DistributionError(f"the image store at {self._root} cannot be written: {error.strerror}") from error
        try:
            yield draft
        finally:
            os.close(mine)
            shutil.rmtree(draft, ignore_errors=True)
            owner.release(owned)

    def keep_managed(self, draft: Path, facts: Facts) -> StoredImage:
        """Make `draft` the managed image `facts.id`, in place of the former one if there is one."""
        folder = self._folder(facts.id)
        name = fresh_name()
        with held(folder / "lock", wait=True):
            _describe(draft, facts)
            draft.rename(folder / _FOLDER / name)
            write_whole(folder / "managed.json", json.dumps({"id": facts.id, "folder": name}) + "\n")
            for former in _children(folder / _FOLDER):
                if former.name != name:
                    _delete_unless_held(former)
            return _whole(folder / _FOLDER / name, "")

    def keep_version(
        self, draft: Path, facts: Facts, definition_id: str, choose: Callable[[tuple[Version, ...]], Version]
    ) -> StoredImage:
        """Make `draft` a version of `definition_id`, with the number that `choose` says given those that exist.

        Raises DistributionError if the definition holds images of another kind.
        """
        folder = self._folder(definition_id)
        with held(folder / "lock", wait=True):
            there = self.versions(definition_id)
            if there:
                _demand_same_kind(there[0].facts, facts)
            version = choose(tuple(found for name in _names(folder / _FOLDER) if (found := versioning.parse(name))))
            _describe(draft, replace(facts, id=f"{definition_id}/versions/{version}"))
            draft.rename(folder / _FOLDER / str(version))
            return _whole(folder / _FOLDER / str(version), str(version))

    def _folder(self, image_id: str) -> Path:
        lower = image_id.rstrip("/").lower()
        name = "".join(letter if letter.isalnum() else "-" for letter in lower.rpartition("/")[2])[:40]
        return self._root / f"{name}-{hashlib.sha256(lower.encode()).hexdigest()[:12]}"


def disk_names(count: int) -> tuple[str, ...]:
    """What the disks of an image are called in its folder, the OS disk first."""
    return (_DISK, *(f"data-{number}.qcow2" for number in range(1, count)))


def _demand_same_kind(mine: Facts, new: Facts) -> None:
    for name in ("os_type", "generation", "architecture"):
        theirs, ours = getattr(mine, name), getattr(new, name)
        if theirs != ours:
            raise DistributionError(
                f"the image definition of {mine.id} holds {theirs} images, this one is {ours}",
                hint="an image definition has one kind of image: distribute to another one",
            )


def _describe(draft: Path, facts: Facts) -> None:
    write_whole(draft / "image.json", json.dumps(asdict(facts), indent=1) + "\n")


def _whole(folder: Path, version: str) -> StoredImage:
    image = _read(folder, version)
    if image is None:
        raise DistributionError(
            f"the image at {folder} cannot be read back", hint="is the disk of this machine full?"
        )
    return image


def _read(folder: Path, version: str) -> StoredImage | None:
    """What lies in `folder`, or None if that is no whole image."""
    try:
        facts = _facts(json.loads((folder / "image.json").read_text()))
        disk = folder / _DISK
        size = qemu_img.info(disk, "qcow2").virtual_size
    except (OSError, ValueError, KeyError, TypeError, PlatformError):
        return None
    data = sorted(folder.glob("data-*.qcow2"), key=lambda path: int(path.stem.rpartition("-")[2]))
    return StoredImage(facts, version, disk, tuple(data), size)


def _facts(raw: Mapping[str, Any]) -> Facts:
    return Facts(
        **{
            **raw,
            "os_type": OsType(raw["os_type"]),
            "generation": Generation(raw["generation"]),
            "regions": tuple(raw["regions"]),
            "tags": tuple((name, value) for name, value in raw["tags"]),
        }
    )


def _delete_unless_held(folder: Path) -> None:
    """A draft is held by its maker, an image by the builds that lie on it; the kernel lets go when they are dead."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def _names(folder: Path) -> list[str]:
    return [child.name for child in _children(folder)]


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
