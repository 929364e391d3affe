"""What a VM or a disk is made from: an imageReference resolved to facts and content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from armsim import problems
from armsim.cloud import Cloud
from armsim.exchange import Call
from armsim.guests.content import Content
from armsim.problems import ArmError
from armsim.world import Resource, location_name

IMAGE = "Microsoft.Compute/images"
DEFINITION = "Microsoft.Compute/galleries/images"
VERSION = "Microsoft.Compute/galleries/images/versions"
DISK = "Microsoft.Compute/disks"
SNAPSHOT = "Microsoft.Compute/snapshots"


@dataclass(frozen=True, slots=True)
class Origin:
    """Facts of a source, and the way to a copy of its content (which may take a while: no lock)."""

    os: str
    generation: str
    architecture: str
    gigabytes: int
    security: str
    generalized: bool
    content: Callable[[], Content]
    exact_version: str = ""
    plan: dict[str, str] | None = None


def from_reference(call: Call, reference: dict[str, Any], location: str) -> Origin:
    """An imageReference: a platform image, a managed image, a gallery image definition (its latest) or version."""
    if not reference.get("id"):
        return _platform(call, reference)
    found = _resolve(call, str(reference["id"]), location)
    if found.kind == IMAGE:
        return from_image(call.cloud, found)
    return from_version(call.cloud, found)


def _platform(call: Call, reference: dict[str, Any]) -> Origin:
    parts = [str(reference.get(name) or "") for name in ("publisher", "offer", "sku", "version")]
    for name, value in zip(("publisher", "offer", "sku", "version"), parts, strict=True):
        if not value:
            raise problems.missing_parameter(f"imageReference.{name}")
    image = call.cloud.catalog.find(*parts)
    farm = call.cloud.farm
    plan = {"publisher": image.publisher, "name": image.sku, "product": image.offer} if image.plan else None
    return Origin(
        image.os,
        image.generation,
        image.architecture,
        image.size,
        image.security,
        True,
        lambda: Content(farm),
        image.version,
        plan,
    )


def _resolve(call: Call, identifier: str, location: str) -> Resource:
    found = call.cloud.world.get(identifier)
    if found is not None and found.kind == DEFINITION:
        found = latest_version(call.cloud, found, location)
        if found is None:
            raise problems.gallery_image_not_found(identifier, location)
    if found is None or found.kind not in {IMAGE, VERSION}:
        if "/galleries/" in identifier.lower():
            raise problems.gallery_image_not_found(identifier, location)
        group, name = identifier.split("/")[4], identifier.rsplit("/", 1)[1]
        raise problems.resource_not_found(IMAGE, name, group)
    if found.properties.get("provisioningState") not in {"Succeeded", "Updating"}:
        raise ArmError(
            409,
            "OperationNotAllowed",
            f"The image {identifier} is in state {found.properties.get('provisioningState')}.",
        )
    if found.kind == IMAGE and found.location != location:
        raise problems.invalid_parameter(
            f"The image '{identifier}' is not in the region '{location}'.", "imageReference"
        )
    if found.kind == VERSION and location not in regions(found):
        raise problems.gallery_image_not_found(identifier, location)
    return found


def regions(version: Resource) -> list[str]:
    return [location_name(item["name"]) for item in version.properties["publishingProfile"]["targetRegions"]]


def latest_version(cloud: Cloud, definition: Resource, location: str) -> Resource | None:
    """The highest version that is finished, replicated to `location` and not excluded from latest."""
    good = [
        item
        for item in cloud.world.inside(definition.id, VERSION)
        if item.ready
        and location in regions(item)
        and not item.properties["publishingProfile"].get("excludeFromLatest")
    ]
    return max(good, key=lambda item: tuple(int(part) for part in item.name.split(".")), default=None)


def from_image(cloud: Cloud, image: Resource) -> Origin:
    disk = image.properties["storageProfile"]["osDisk"]
    content: Content = image.state["content"]
    return Origin(
        disk["osType"],
        image.properties["hyperVGeneration"],
        "x64",
        disk.get("diskSizeGB", 30),
        "",
        disk["osState"] == "Generalized",
        content.copy,
        plan=image.state.get("plan"),
    )


def from_version(cloud: Cloud, version: Resource) -> Origin:
    definition = cloud.world.get(version.id.rsplit("/", 2)[0])
    assert definition is not None
    content: Content = version.state["content"]
    facts = definition.properties
    security = next((item["value"] for item in facts.get("features") or [] if item["name"] == "SecurityType"), "")
    plan = facts.get("purchasePlan")
    return Origin(
        facts["osType"],
        facts["hyperVGeneration"],
        facts["architecture"],
        version.properties["storageProfile"]["osDiskImage"].get("sizeInGB", 30),
        security,
        facts["osState"] == "Generalized",
        content.copy,
        version.name,
        plan,
    )


def from_disk(disk: Resource) -> Origin:
    """A managed disk or snapshot: what it is is written on it."""
    content: Content = disk.state["content"]
    facts = disk.properties
    return Origin(
        facts.get("osType") or "Linux", facts.get("hyperVGeneration") or "V1",
        (facts.get("supportedCapabilities") or {}).get("architecture") or "x64", facts["diskSizeGB"],
        (facts.get("securityProfile") or {}).get("securityType") or "", False, content.copy, "",
        facts.get("purchasePlan"),
    )  # fmt: skip
