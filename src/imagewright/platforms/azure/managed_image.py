"""`ManagedImage`: a managed image from a snapshot. Azure cannot change one: an old image of the name is replaced."""

from __future__ import annotations

import dataclasses

from imagewright.core.clock import Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError
from imagewright.core.events import Emit, Note
from imagewright.core.ownership import Owner
from imagewright.core.plan import ExactSource, ManagedImageTarget
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.core.result import RunOutput
from imagewright.platforms.azure import claims, names, temporary_image
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.snapshots import Snapshots
from imagewright.platforms.azure.sources import PLAN_TAGS, region


def publish(
    disk: Disk, target: ManagedImageTarget, build: str, arm: Arm, snapshots: Snapshots, owner: Owner, emit: Emit,
    deadline: Deadline,
) -> RunOutput:  # fmt: skip
    refuse_unfit(disk)
    image = image_id(target)
    arm = arm.at(image.subscription)
    held = snapshots.in_region(disk, target.location, owner, deadline)
    group, name = image.resource_group, image.name
    before = arm.find(f"looking up the image {name}", deadline, lambda c, k: c.compute.images.get(group, name, **k))
    if before is not None:
        if before["properties"].get("provisioningState") in ("Creating", "Updating"):
            raise DistributionError(
                f"somebody else is making the managed image {name} now", hint="one build at a time, or another name"
            )
        emit(Note(f"the managed image {name} is replaced"))
        arm.do(
            f"deleting the old image {name}", deadline, lambda c, k: c.compute.images.begin_delete(group, name, **k)
        )
    owned = owner.own(claims.claim(str(image), build))
    body = image_body(disk, target, build, held)
    arm.do(
        f"creating the managed image {name}",
        deadline,
        lambda c, k: c.compute.images.begin_create_or_update(group, name, body, **k),
        result=False,
    )
    owner.release(owned)
    return RunOutput(target.run_output_name, artifact_id=str(image), regions=(target.location,))


def tags_of(target: ManagedImageTarget, arm: Arm, deadline: Deadline) -> dict[str, str]:
    return dict((_found(target, arm, deadline) or {}).get("tags") or {})


def refuse_elsewhere(target: ManagedImageTarget, arm: Arm, deadline: Deadline) -> None:
    """An image is replaced only where it is. Raises DistributionError."""
    found = _found(target, arm, deadline)
    if found is not None and region(found["location"]) != region(target.location):
        raise DistributionError(
            f"the managed image {target.image_id} is in {found['location']}, the target says {target.location}",
            hint="give the region where it is, or another name",
        )


def _found(target: ManagedImageTarget, arm: Arm, deadline: Deadline) -> Json | None:
    image = image_id(target)
    found: Json | None = arm.at(image.subscription).find(
        f"looking up the image {image.name}",
        deadline,
        lambda c, k: c.compute.images.get(image.resource_group, image.name, **k),
    )
    return found


def image_id(target: ManagedImageTarget) -> ResourceId:
    found = parse_resource_id(target.image_id)
    if found is None:
        raise DistributionError(f"'{target.image_id}' is not the id of a managed image")
    return found


def refuse_unfit(image: Disk | ExactSource) -> None:
    """What a managed image cannot hold. Raises DistributionError."""
    if image.security_type == "TrustedLaunch":
        raise DistributionError(
            "a managed image cannot hold a trusted launch machine", hint="publish to a gallery (SharedImage)"
        )
    if image.architecture != "x64":
        raise DistributionError(
            f"a managed image cannot hold {image.architecture}", hint="publish to a gallery (SharedImage)"
        )


def image_body(disk: Disk, target: ManagedImageTarget, build: str, held: tuple[str, ...]) -> Json:
    """Pure. An image does not show its plan, which machines of it must name: the next build reads it in the tags."""
    plan = dict(zip(PLAN_TAGS, dataclasses.astuple(disk.plan), strict=True)) if disk.plan else {}
    return {
        "location": target.location,
        "tags": claims.tags(build, plan | {name: names.tag(text) for name, text in target.tags}),
        "properties": {
            "hyperVGeneration": disk.generation.value,
            "storageProfile": temporary_image.storage(disk, held, storageAccountType="Standard_LRS"),
        },
    }
