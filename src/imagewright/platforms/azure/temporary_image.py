"""A managed image that goes with the build: what only an image can be used for is made from snapshots through it."""

from __future__ import annotations

from collections.abc import Sequence

from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError
from imagewright.core.resource_id import parse_resource_id
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.place import Place


def make(arm: Arm, place: Place, disk: Disk, held: Sequence[str], deadline: Deadline) -> str:
    """The id of an image of `held`: snapshots (or disks) of `disk` in `place`, the OS disk's first."""
    name = f"iw-{fresh_name(6)}-image"
    body = place.body({"hyperVGeneration": disk.generation.value, "storageProfile": storage(disk, held)})
    made = arm.do(
        "making a temporary image",
        deadline,
        lambda c, k: c.compute.images.begin_create_or_update(place.group, name, body, **k),
    )
    return str(made["id"])


def storage(disk: Disk, held: Sequence[str], **more: object) -> Json:
    """The `storageProfile` of an image; `more` goes to its OS disk."""
    first, *others = held
    os_disk = {"osType": disk.os_type.value, "osState": "Generalized", **more, **_reference(first)}
    return {"osDisk": os_disk, "dataDisks": [{"lun": lun, **_reference(each)} for lun, each in enumerate(others)]}


def is_snapshot(resource: str) -> bool:
    found = parse_resource_id(resource)
    if found is None:
        raise DistributionError(f"'{resource}' is not a resource id")
    return found.is_a("Microsoft.Compute/snapshots")


def _reference(resource: str) -> Json:
    return {"snapshot" if is_snapshot(resource) else "managedDisk": {"id": resource}}
