"""An incremental snapshot of a disk: billed for what it holds, and the only kind that can be copied elsewhere."""

from __future__ import annotations

from imagewright.core.clock import Deadline
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.place import Place

SNAPSHOT = "Microsoft.Compute/snapshots"


def snapshot(arm: Arm, place: Place, name: str, disk: str, deadline: Deadline) -> str:
    """The id of a new incremental snapshot of a disk."""
    body = place.body(
        {"creationData": {"createOption": "Copy", "sourceResourceId": disk}, "incremental": True},
        sku={"name": "Standard_LRS"},
    )
    arm.do(
        f"taking the snapshot {name}",
        deadline,
        lambda c, k: c.compute.snapshots.begin_create_or_update(place.group, name, body, **k),
        result=False,
    )
    return place.resource(SNAPSHOT, name)
