"""`SharedImage`: a gallery image version, straight from a snapshot, with no managed image in between."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError, PlatformError
from imagewright.core.events import Emit, Note, Progress
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, LatestVersioning, PurchasePlan, SharedImageTarget, TargetRegion
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.core.result import RunOutput
from imagewright.distributors.versioning import Version, choose, parse
from imagewright.platforms.azure import claims, errors, names
from imagewright.platforms.azure.arm import Arm, Json, Operation
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.errors import is_gone
from imagewright.platforms.azure.snapshots import Snapshots
from imagewright.platforms.azure.sources import region, security_of

LOOK_SECONDS = 240.0
RACES = 5
"""How often another build may be quicker with the next version before this one gives up."""

TYPE = "Microsoft.Compute/galleries/images/versions"

_ALLOTTED: dict[str, set[Version]] = {}
_ALLOTTING = threading.Lock()
"""Versions that builds of this process have taken and Azure may not list yet, by image definition."""


def publish(
    disk: Disk, target: SharedImageTarget, source: ExactSource, build: str, arm: Arm, snapshots: Snapshots,
    choices: AzureChoices, owner: Owner, emit: Emit, clock: Clock, deadline: Deadline,
) -> RunOutput:  # fmt: skip
    found = definition_id(target)
    arm = arm.at(found.subscription)
    definition = look_up(found, arm, deadline)
    refuse_unfit(disk, definition)
    place = str(definition["location"])
    regions = target.regions or (TargetRegion(place),)
    refuse_regions(target, definition)
    storage = (
        {"source": {"id": snapshots.image(disk, place, owner, deadline)}}
        if takes_images_only(definition)
        else disk_images(snapshots.in_region(disk, place, owner, deadline))
    )
    body = version_body(place, storage, regions, target, build, choices, clock)
    version_id, owned, operation = _begin(body, target, found, source, build, arm, owner, emit, deadline)
    while not operation.ended(LOOK_SECONDS):
        _tell(version_id, arm, emit, deadline)
    operation.wait()
    owner.release(owned)
    return RunOutput(
        target.run_output_name,
        artifact_id=str(version_id),
        version=version_id.name,
        regions=tuple(each.name for each in regions),
    )


def _begin(
    body: Json, target: SharedImageTarget, found: ResourceId, source: ExactSource, build: str, arm: Arm,
    owner: Owner, emit: Emit, deadline: Deadline,
) -> tuple[ResourceId, Owned, Operation]:  # fmt: skip
    """Begin a version under a number that nobody has. Two builds may choose the same one: Azure refuses the second,
    which chooses again where the number is ours to choose."""
    group, (gallery, name) = found.resource_group, found.names
    places = ", ".join(each["name"] for each in body["properties"]["publishingProfile"]["targetRegions"])
    for left in range(RACES, -1, -1):
        version = _version(target, found, source, arm, deadline)
        version_id = ResourceId(found.subscription, group, TYPE, (gallery, name, version))
        owned = owner.own(claims.claim(str(version_id), build))
        emit(Note(f"publishing version {version} of {gallery}/{name} to {places}"))
        try:
            return (
                version_id,
                owned,
                arm.begin(
                    f"creating version {version} of {name}",
                    deadline,
                    lambda c, k, version=version: c.compute.gallery_image_versions.begin_create_or_update(  # type: ignore[misc]
                        group, gallery, name, version, body, **k
                    ),
                    result=False,
                ),
            )
        except PlatformError as error:
            if not errors.is_taken(error) or claims.maker(arm, str(version_id), deadline) in (None, build):
                raise
            owner.release(owned)
            if not left or not isinstance(target.versioning, LatestVersioning):
                raise DistributionError(
                    f"version {version} of {name} was made by somebody else meanwhile",
                    hint="raise the number, or let the scheme `Latest` choose it",
                ) from error
            emit(Note(f"another build was quicker with version {version} of {name}"))
    raise AssertionError("unreachable")


def definition_id(target: SharedImageTarget) -> ResourceId:
    found = parse_resource_id(target.gallery_image_id)
    if found is None or len(found.names) != 2:
        raise DistributionError(f"'{target.gallery_image_id}' is not the id of a gallery image definition")
    return found


def look_up(found: ResourceId, arm: Arm, deadline: Deadline) -> Json:
    """The image definition. Raises DistributionError when it is not there."""
    gallery, name = found.names
    definition: Json | None = arm.known.get(str(found))
    if definition is None:
        definition = arm.at(found.subscription).find(
            f"looking up the image definition {gallery}/{name}",
            deadline,
            lambda c, k: c.compute.gallery_images.get(found.resource_group, gallery, name, **k),
        )
    if definition is None:
        raise DistributionError(
            f"there is no image definition {gallery}/{name} in the resource group {found.resource_group}",
            hint="create it first: az sig image-definition create",
        )
    arm.known[str(found)] = definition
    return definition


def refuse_regions(target: SharedImageTarget, definition: Json) -> None:
    """What Azure would refuse of where a version shall go. Raises DistributionError."""
    name, place = definition["name"], str(definition["location"])
    if target.regions and region(place) not in {region(each.name) for each in target.regions}:
        raise DistributionError(
            f"the regions of {name} do not include {place}, where the gallery is",
            hint="add the gallery's own region to `targetRegions`",
            origin=target.origin,
        )
    if target.replication_mode == "Shallow" and [each.replica_count for each in target.regions] not in ([], [1]):
        raise DistributionError(
            f"a shallow version of {name} has one region and one replica",
            hint="leave one region with one replica, or the replication mode `Full`",
            origin=target.origin,
        )


def refuse_unfit(image: Disk | ExactSource, definition: Json) -> None:
    """What of the definition an image like this could never go to. Raises DistributionError."""
    facts, name = definition["properties"], definition["name"]
    if facts["osState"] != "Generalized":
        raise DistributionError(f"{name} takes specialized images", hint="this build makes a generalized one")
    mine = {
        "osType": image.os_type.value,
        "hyperVGeneration": image.generation.value,
        "architecture": "Arm64" if image.architecture == "arm64" else "x64",
    }
    theirs = {"hyperVGeneration": "V1", "architecture": "x64"} | {key: facts[key] for key in mine if facts.get(key)}
    for key, value in mine.items():
        if str(theirs.get(key, value)).lower() != value.lower():
            raise DistributionError(
                f"{name} is for {key} {theirs[key]}, the image is {value}",
                hint="publish to an image definition of the same kind as the source",
            )
    refuse_other_security(image, name, security_of(facts.get("features")))
    bought = facts.get("purchasePlan")
    plan = _shown(PurchasePlan(bought["name"], bought["product"], bought["publisher"]) if bought else None)
    if image.plan is not None and _shown(image.plan).lower() != plan.lower():
        raise DistributionError(
            f"{name} has the purchase plan {plan}, the source has {_shown(image.plan)}",
            hint="create the definition with the source's plan: --plan-name, --plan-product, --plan-publisher",
        )


def refuse_other_security(image: Disk | ExactSource, name: str, theirs: str) -> None:
    """A definition is for machines of one security type, or for images that do with or without it."""
    mine = image.security_type if image.security_type == "TrustedLaunch" else "Standard"
    supported = theirs.lower().endswith("supported")
    if mine != "Standard" and theirs != mine:
        raise DistributionError(
            f"{name} is for the security type {theirs}, the source demands trusted launch",
            hint="create the definition with --features SecurityType=TrustedLaunch",
        )
    if mine == "Standard" and theirs != "Standard" and not supported:
        raise DistributionError(
            f"{name} is for the security type {theirs} only, the image is made without it",
            hint="create the definition with --features SecurityType=TrustedLaunchSupported",
        )
    if supported and image.architecture != "x64":
        raise DistributionError(
            f"{name} takes managed images only ({theirs}), which cannot hold {image.architecture}",
            hint="publish to a definition without the feature SecurityType",
        )


def _shown(plan: PurchasePlan | None) -> str:
    return f"{plan.publisher}:{plan.product}:{plan.name}" if plan else "none"


def takes_images_only(definition: Json) -> bool:
    """For one that merely supports a security type Azure takes no disk and no snapshot as the source."""
    return security_of(definition["properties"].get("features")).lower().endswith("supported")


def disk_images(held: Sequence[str]) -> Json:
    first, *others = held
    storage: Json = {"osDiskImage": {"source": {"id": first}}}
    if others:
        storage["dataDiskImages"] = [{"lun": lun, "source": {"id": each}} for lun, each in enumerate(others)]
    return storage


def version_body(
    place: str, storage: Json, regions: Sequence[TargetRegion], target: SharedImageTarget,
    build: str, choices: AzureChoices, clock: Clock,
) -> Json:  # fmt: skip
    """Pure."""
    profile: Json = {
        "targetRegions": [
            {
                "name": each.name,
                "regionalReplicaCount": each.replica_count,
                "storageAccountType": each.storage_account_type,
            }
            for each in regions
        ],
        "excludeFromLatest": target.exclude_from_latest,
        "replicationMode": target.replication_mode,
    }
    if choices.end_of_life_days:
        profile["endOfLifeDate"] = names.stamp(clock.now() + timedelta(days=choices.end_of_life_days))
    return {
        "location": place,
        "tags": claims.tags(build, {name: names.tag(text) for name, text in target.tags}),
        "properties": {"publishingProfile": profile, "storageProfile": storage},
    }


def _version(target: SharedImageTarget, found: ResourceId, source: ExactSource, arm: Arm, deadline: Deadline) -> str:
    rows = _rows(found, arm, deadline)
    existing = {version for row in rows if (version := parse(row["name"])) is not None}
    with _ALLOTTING:
        taken = _ALLOTTED.setdefault(str(found).lower(), set())
        version = choose(target.versioning, existing | taken, source.exact_version)
        taken.add(version)
    return str(version)


def newest_tags(target: SharedImageTarget, arm: Arm, deadline: Deadline) -> dict[str, str]:
    """The tags of the definition's highest version that is whole; none where there is none."""
    found = definition_id(target)
    try:
        rows = _rows(found, arm.at(found.subscription), deadline)
    except PlatformError as error:
        if is_gone(error):
            return {}
        raise
    whole = [
        row for row in rows if (row.get("properties") or {}).get("provisioningState") not in ("Failed", "Creating")
    ]
    newest = max(
        ((version, row) for row in whole if (version := parse(row["name"]))), key=lambda each: each[0], default=None
    )
    return dict(newest[1].get("tags") or {}) if newest else {}


def _rows(found: ResourceId, arm: Arm, deadline: Deadline) -> list[Json]:
    group, (gallery, name) = found.resource_group, found.names
    return arm.all(
        f"listing the versions of {name}",
        deadline,
        lambda c, k: c.compute.gallery_image_versions.list_by_gallery_image(group, gallery, name, **k),
    )


def _tell(version_id: ResourceId, arm: Arm, emit: Emit, deadline: Deadline) -> None:
    """How far the replication has come; knowing it is worth no failure."""
    try:
        found = arm.find(
            "looking after the replication",
            deadline,
            lambda c, k: c.compute.gallery_image_versions.get(
                version_id.resource_group, *version_id.names, expand="ReplicationStatus", **k
            ),
        )
    except PlatformError:
        return
    summary = (((found or {}).get("properties") or {}).get("replicationStatus") or {}).get("summary") or []
    if summary:
        done = sum(int(each.get("progress") or 0) for each in summary) // len(summary)
        emit(Progress(f"replicating {version_id.names[1]} {version_id.name}", done, 100, "%"))
