"""A captured disk as snapshots that targets can be made from: where it is, in another region, or uploaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeVar

from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError
from imagewright.core.events import Emit, Note, Progress
from imagewright.core.ownership import Owner
from imagewright.core.secret import Secret
from imagewright.platforms.azure import temporary_image
from imagewright.platforms.azure.access import Readers
from imagewright.platforms.azure.arm import Arm, Json, together
from imagewright.platforms.azure.incremental import snapshot
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.polling import quick_then_slow
from imagewright.platforms.azure.sources import region

Open = Callable[[Owner, Deadline], Place]
"""The staging group, opened on the first call."""

Upload = Callable[[Disk, Place, Deadline], Disk]
"""Sends a disk that is a file here; what comes back is managed."""

Made = TypeVar("Made")


class Snapshots:
    """Shared by the targets of a build: each thing is made once, different ones at the same time."""

    def __init__(self, arm: Arm, location: str, open_: Open, upload: Upload, emit: Emit) -> None:
        self._arm = arm
        self._location = location
        self._open = open_
        self._upload = upload
        self._emit = emit
        self._lock = threading.Lock()
        self._made: dict[tuple[str, ...], Future[Any]] = {}
        self._readers = Readers(arm)

    def managed(self, disk: Disk, owner: Owner, deadline: Deadline) -> Disk:
        """`disk` as something in Azure."""
        if disk.format == "managed":
            return disk
        return self._once(
            ("upload", disk.location), lambda: self._upload(disk, self._open(owner, deadline), deadline)
        )

    def in_region(self, disk: Disk, location: str, owner: Owner, deadline: Deadline) -> tuple[str, ...]:
        """The ids of snapshots (or disks) of `disk` in `location`, the OS disk's first."""
        disk = self.managed(disk, owner, deadline)
        ids = (disk.location, *(each.location for each in disk.data_disks))
        if region(location) == region(self._location):
            return ids

        def copy() -> tuple[str, ...]:
            self._emit(Note(f"copying the captured disk to {location}"))
            here = self._open(owner, deadline)
            there = replace(here, location=region(location))
            return tuple(
                together(
                    *(
                        lambda each=each: self._copy(self._snapshot(each, here, deadline), there, deadline)
                        for each in ids
                    )
                )
            )

        return self._once(("copy", disk.location, region(location)), copy)

    def image(self, disk: Disk, location: str, owner: Owner, deadline: Deadline) -> str:
        """The id of a temporary managed image of `disk` in `location`."""
        held = self.in_region(disk, location, owner, deadline)

        def make() -> str:
            place = replace(self._open(owner, deadline), location=region(location))
            return temporary_image.make(self._arm, place, disk, held, deadline)

        return self._once(("image", held[0]), make)

    def readable(self, resource: str, owner: Owner, deadline: Deadline) -> AbstractContextManager[Secret]:
        """The URL of a disk's or snapshot's content, while this is held."""
        return self._readers.reading(resource, owner, deadline)

    def _once(self, key: tuple[str, ...], make: Callable[[], Made]) -> Made:
        """Made by whoever comes first; the others wait for it. A failure is told to those who wait, and forgotten."""
        with self._lock:
            future: Future[Made] | None = self._made.get(key)
            if future is not None:
                waiting = future
            else:
                waiting = self._made[key] = Future()
        if future is not None:
            return future.result()
        try:
            waiting.set_result(make())
        except BaseException as error:  # noqa: BLE001 - the others wait for it, whatever it is
            with self._lock:
                del self._made[key]
            waiting.set_exception(error)
        return waiting.result()

    def _snapshot(self, resource: str, place: Place, deadline: Deadline) -> str:
        """Only snapshots can be copied elsewhere: a disk that was uploaded becomes one first."""
        if temporary_image.is_snapshot(resource):
            return resource
        return snapshot(self._arm, place, f"iw-{fresh_name(6)}-uploaded", resource, deadline)

    def _copy(self, source: str, place: Place, deadline: Deadline) -> str:
        name = f"iw-{fresh_name(6)}-{place.location}"
        body = place.body(
            {"creationData": {"createOption": "CopyStart", "sourceResourceId": source}, "incremental": True},
            sku={"name": "Standard_LRS"},
        )
        made: Json = self._arm.do(
            f"copying a snapshot to {place.location}",
            deadline,
            lambda c, k: c.compute.snapshots.begin_create_or_update(place.group, name, body, **k),
        )
        for seconds in quick_then_slow(1.0):
            percent = float(made["properties"].get("completionPercent") or 0)
            self._emit(Progress(f"copying to {place.location}", int(percent), 100, "%"))
            if percent >= 100:
                return str(made["id"])
            if failed := made["properties"].get("copyCompletionError"):
                raise DistributionError(
                    f"copying the captured disk to {place.location} failed: "
                    f"{failed.get('errorMessage') or failed.get('errorCode')}",
                    hint="build again: what was captured is kept, unless somebody deleted it",
                )
            deadline.wait(seconds)
            made = self._arm.ask(
                "looking after a copy", deadline, lambda c, k: c.compute.snapshots.get(place.group, name, **k)
            )
        raise AssertionError("unreachable")
