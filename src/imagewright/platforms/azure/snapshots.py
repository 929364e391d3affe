"""A captured disk as snapshots that targets can be made from: where it is, in another region, or uploaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError
from imagewright.core.events import Emit, Note, Progress
from imagewright.core.ownership import Owner
from imagewright.core.resource_id import parse_resource_id
from imagewright.platforms.azure.arm import Arm, Json, together
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.polling import doze, quick_then_slow
from imagewright.platforms.azure.sources import region

Open = Callable[[Owner, Deadline], Place]
"""The staging group, opened on the first call."""

Upload = Callable[[Disk, Place, Deadline], Disk]
"""Sends a disk that is a file here; what comes back is managed."""


class Snapshots:
    """Shared by the targets of a build: each copy is made once."""

    def __init__(self, arm: Arm, location: str, open_: Open, upload: Upload, emit: Emit) -> None:
        self._arm = arm
        self._location = location
        self._open = open_
        self._upload = upload
        self._emit = emit
        self._lock = threading.Lock()
        self._uploaded: dict[str, Disk] = {}
        self._copied: dict[tuple[str, str], tuple[str, ...]] = {}

    def managed(self, disk: Disk, owner: Owner, deadline: Deadline) -> Disk:
        """`disk` as something in Azure."""
        if disk.format == "managed":
            return disk
        with self._lock:
            if disk.location not in self._uploaded:
                self._uploaded[disk.location] = self._upload(disk, self._open(owner, deadline), deadline)
            return self._uploaded[disk.location]

    def in_region(self, disk: Disk, location: str, owner: Owner, deadline: Deadline) -> tuple[str, ...]:
        """The ids of snapshots (or disks) of `disk` in `location`, the OS disk's first."""
        disk = self.managed(disk, owner, deadline)
        ids = (disk.location, *(each.location for each in disk.data_disks))
        if region(location) == region(self._location):
            return ids
        with self._lock:
            key = (disk.location, region(location))
            if key not in self._copied:
                self._emit(Note(f"copying the captured disk to {location}"))
                place = replace(self._open(owner, deadline), location=region(location))
                self._copied[key] = tuple(
                    together(*(lambda each=each: self._copy(each, place, deadline) for each in ids))
                )
            return self._copied[key]

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
            doze(seconds, deadline)
            made = self._arm.ask(
                "looking after a copy", deadline, lambda c, k: c.compute.snapshots.get(place.group, name, **k)
            )
        raise AssertionError("unreachable")


def is_snapshot(resource: str) -> bool:
    found = parse_resource_id(resource)
    if found is None:
        raise DistributionError(f"'{resource}' is not a resource id")
    return found.is_a("Microsoft.Compute/snapshots")
