"""Sources: `latest` to an exact version, and what Azure says of the image."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

from imagewright.core.clock import Deadline
from imagewright.core.digest import digest
from imagewright.core.errors import PlatformError
from imagewright.core.plan import (
    DiskFile,
    ExactSource,
    Generation,
    ManagedImage,
    OsType,
    PlatformImage,
    PurchasePlan,
    SharedImageVersion,
    Source,
)
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.platforms.azure.arm import Arm, Json

GIB = 1 << 30
PLAN_TAGS = ("planName", "planProduct", "planPublisher")


def resolve(source: Source, location: str, arm: Arm, deadline: Deadline) -> ExactSource:
    """Raises PlatformError that says which part of the source is not there."""
    match source:
        case PlatformImage():
            return _platform(source, location, arm, deadline)
        case ManagedImage(image_id):
            return _managed(source, _parsed(image_id), location, arm, deadline)
        case SharedImageVersion(version_id) if version_id.lower().startswith("/sharedgalleries/"):
            raise PlatformError(
                f"{version_id} is in a gallery that is shared directly, and no build starts from one yet",
                hint="let its owner give you the right to read it (a role), and use the version's own id",
            )
        case SharedImageVersion(version_id):
            return _shared(source, _parsed(version_id), location, arm, deadline)
        case DiskFile():
            raise PlatformError(
                "a disk file cannot be the source of a build in Azure",
                hint="build it with `--platform local`, or upload it as a managed image first",
            )
        case _:
            assert_never(source)


def image_reference(source: ExactSource) -> Json:
    """The `imageReference` of a VM that starts from it."""
    match source.source:
        case PlatformImage(publisher, offer, sku):
            return {"publisher": publisher, "offer": offer, "sku": sku, "version": source.exact_version}
        case _:
            return {"id": source.location}


def latest(versions: Iterable[str]) -> str:
    """The highest of dotted numbers, or `""`."""
    return max(versions, key=lambda text: [int(part) for part in re.findall(r"\d+", text)], default="")


def security_of(features: object) -> str:
    """`Standard`, `TrustedLaunch`, `TrustedLaunchSupported`, ... from an image's list of features."""
    for feature in features if isinstance(features, list) else []:
        if feature.get("name") == "SecurityType":
            return str(feature.get("value") or "Standard")
    return "Standard"


def _platform(source: PlatformImage, location: str, arm: Arm, deadline: Deadline) -> ExactSource:
    doing = f"looking up the image {source}"
    version = source.version
    if version.lower() == "latest":
        found = arm.ask(
            doing,
            deadline,
            lambda c, k: c.compute.virtual_machine_images.list(
                location, source.publisher, source.offer, source.sku, **k
            ),
        )
        version = latest(row["name"] for row in found)
        if not version:
            raise PlatformError(
                f"{source} has no version in {location}",
                hint=f"az vm image list --all -p {source.publisher} -f {source.offer} -l {location}",
            )
    image = arm.ask(
        doing,
        deadline,
        lambda c, k: c.compute.virtual_machine_images.get(
            location, source.publisher, source.offer, source.sku, version, **k
        ),
    )
    facts = image["properties"]
    disk = facts["osDiskImage"]
    bought = facts.get("plan")
    return ExactSource(
        source=source,
        exact_version=version,
        identity=f"azure:{source.publisher}:{source.offer}:{source.sku}:{version}".lower(),
        os_type=OsType(disk["operatingSystem"]),
        generation=Generation(facts.get("hyperVGeneration") or "V1"),
        architecture=_architecture(facts.get("architecture")),
        location=f"{source.publisher}:{source.offer}:{source.sku}:{version}",
        size=int(disk.get("sizeInGb") or 30) * GIB,
        security_type=_buildable(security_of(facts.get("features")), source),
        plan=source.plan
        or (PurchasePlan(bought["name"], bought["product"], bought["publisher"]) if bought else None),
    )


def _managed(source: ManagedImage, image_id: ResourceId, location: str, arm: Arm, deadline: Deadline) -> ExactSource:
    image = arm.at(image_id.subscription).ask(
        f"looking up the image {source}",
        deadline,
        lambda c, k: c.compute.images.get(image_id.resource_group, image_id.name, **k),
    )
    if region(image["location"]) != region(location):
        raise PlatformError(
            f"the managed image {image_id.name} is in {image['location']}, the build is in {location}",
            hint="a managed image serves its own region only: build there, or publish it to a gallery",
        )
    disk = image["properties"]["storageProfile"]["osDisk"]
    if disk["osState"] != "Generalized":
        raise PlatformError(f"{source} is not generalized", hint="AIB's sources are generalized images")
    made = (image.get("systemData") or {}).get("createdAt", "")
    return ExactSource(
        source=source,
        exact_version="",
        identity=f"azure:{source}:{digest('azure.image.v1', str(made), str(disk))[:16]}".lower(),
        os_type=OsType(disk["osType"]),
        generation=Generation(image["properties"].get("hyperVGeneration") or "V1"),
        architecture="x64",
        location=image["id"],
        size=int(disk.get("diskSizeGB") or 30) * GIB,
        plan=tagged_plan(image),
    )


def _shared(
    source: SharedImageVersion, version_id: ResourceId, location: str, arm: Arm, deadline: Deadline
) -> ExactSource:
    arm = arm.at(version_id.subscription)
    group, (gallery, name, version) = version_id.resource_group, version_id.names
    doing = f"looking up the image {source}"
    definition = arm.ask(doing, deadline, lambda c, k: c.compute.gallery_images.get(group, gallery, name, **k))
    if version.lower() == "latest":
        rows = arm.all(
            doing,
            deadline,
            lambda c, k: c.compute.gallery_image_versions.list_by_gallery_image(group, gallery, name, **k),
        )
        version = latest(row["name"] for row in rows if _offered(row, location))
        if not version:
            raise PlatformError(
                f"{definition['id']} has no version in {location} that `latest` could mean",
                hint="a version counts when it is finished, replicated there, and not excluded from latest",
            )
    image = arm.ask(
        doing,
        deadline,
        lambda c, k: c.compute.gallery_image_versions.get(group, gallery, name, version, **k),
    )
    if region(location) not in _regions(image):
        raise PlatformError(
            f"version {version} of {name} is not replicated to {location}",
            hint=f"it is in {', '.join(sorted(_regions(image)))}: replicate it, or build there",
        )
    facts = definition["properties"]
    if facts["osState"] != "Generalized":
        raise PlatformError(f"{source} is specialized", hint="AIB's sources are generalized images")
    bought = facts.get("purchasePlan")
    published = image["properties"]["publishingProfile"].get("publishedDate", "")
    disk = (image["properties"].get("storageProfile") or {}).get("osDiskImage") or {}
    return ExactSource(
        source=source,
        exact_version=version,
        identity=f"azure:{image['id']}:{published}".lower(),
        os_type=OsType(facts["osType"]),
        generation=Generation(facts.get("hyperVGeneration") or "V1"),
        architecture=_architecture(facts.get("architecture")),
        location=image["id"],
        size=int(disk.get("sizeInGB") or 30) * GIB,
        security_type=_buildable(security_of(facts.get("features")), source),
        plan=PurchasePlan(bought["name"], bought["product"], bought["publisher"]) if bought else None,
    )


def region(text: str) -> str:
    """`East US 2` and `eastus2` are the same place."""
    return text.replace(" ", "").lower()


def _regions(version: Json) -> set[str]:
    return {region(each["name"]) for each in version["properties"]["publishingProfile"]["targetRegions"]}


def _offered(version: Json, location: str) -> bool:
    profile = version["properties"]["publishingProfile"]
    ready = version["properties"].get("provisioningState") in ("Succeeded", "Updating")
    return ready and not profile.get("excludeFromLatest") and region(location) in _regions(version)


def _architecture(text: str | None) -> str:
    return "arm64" if str(text).lower() == "arm64" else "x64"


def _buildable(security: str, source: Source) -> str:
    if security == "ConfidentialVM":
        raise PlatformError(
            f"{source} is for confidential VMs only", hint="a source may support them, but must not demand them"
        )
    return security


def tagged_plan(image: Json) -> PurchasePlan | None:
    """Managed images do not carry the plan that they came with; those who made one often wrote it in its tags."""
    tags = image.get("tags") or {}
    return PurchasePlan(*(tags[name] for name in PLAN_TAGS)) if all(tags.get(name) for name in PLAN_TAGS) else None


def _parsed(text: str) -> ResourceId:
    found = parse_resource_id(text)
    if found is None:
        raise PlatformError(f"'{text}' is not a resource id", hint="/subscriptions/.../resourceGroups/...")
    return found
