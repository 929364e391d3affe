"""Galleries, their image definitions and versions."""

from __future__ import annotations

import copy
import re
import time
from typing import Any, ClassVar

import azure.mgmt.compute.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.compute.sources import DEFINITION, DISK, IMAGE, SNAPSHOT, VERSION
from armsim.exchange import Answer, Call
from armsim.guests.content import Content
from armsim.identifiers import stamp
from armsim.kinds import Kind, Shape, Work, default
from armsim.operations import GALLERY
from armsim.problems import ArmError
from armsim.world import LOCATIONS, Resource, location_name

VM = "Microsoft.Compute/virtualMachines"


class Galleries(Kind):
    type = "Microsoft.Compute/galleries"
    model: ClassVar[Shape] = models.Gallery
    patch_model: ClassVar[Shape | None] = models.GalleryUpdate
    style = GALLERY
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9_.]{0,79}"
    nested = DEFINITION

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        properties["identifier"] = {"uniqueName": f"{call.cloud.subscription}-{call.target.name.upper()}"}
        return body

    def put(self, call: Call) -> Answer:
        """An existing one answers `Succeeded` at once, with the header all the same."""
        answer = super().put(call)
        if answer.status == 200 and isinstance(answer.body, dict):
            answer.body["properties"]["provisioningState"] = "Succeeded"
        return answer

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        for inner in cloud.world.inside(resource.id, self.nested):
            raise ArmError(
                409,
                "CannotDeleteResource",
                f"Can not delete resource before nested resources are deleted. Nested resource '{inner.id}'.",
            )


class Definitions(Galleries):
    type = DEFINITION
    model = models.GalleryImage
    patch_model = models.GalleryImageUpdate
    nested = VERSION

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        for name in ("osType", "osState", "identifier"):
            if not properties.get(name):
                raise problems.missing_parameter(f"galleryImage.properties.{name}")
        default(properties, hyperVGeneration="V1", architecture="x64")
        if old is not None:
            for name in ("osType", "osState", "hyperVGeneration", "architecture", "identifier"):
                if properties[name] != old.properties[name]:
                    raise ArmError(
                        409,
                        "PropertyChangeNotAllowed",
                        f"Changing property 'galleryImage.properties.{name}' is not allowed.",
                        f"galleryImage.properties.{name}",
                    )
        identifier = {name: str(value).lower() for name, value in properties["identifier"].items()}
        for other in call.cloud.world.inside(call.target.parent_path, DEFINITION):
            taken = {name: str(value).lower() for name, value in other.properties["identifier"].items()}
            if other.id.lower() != call.target.path.lower() and taken == identifier:
                raise ArmError(
                    409, "Conflict", f"The gallery image {other.id} has the same publisher, offer and SKU."
                )
        return body

    def seconds(self, cloud: Cloud, resource: Resource, verb: str) -> float | None:
        return 0


class Versions(Kind):
    type = VERSION
    model = models.GalleryImageVersion
    patch_model = models.GalleryImageVersionUpdate
    style = GALLERY
    name_pattern = r".*"
    retry: ClassVar[dict[str, tuple[float, float]]] = {"create": (60, 60), "update": (60, 60), "delete": (60, 60)}

    def put(self, call: Call) -> Answer:
        if call.version < "2019-07-01":
            call.body = _modern(call.body)
        return super().put(call)

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        if not re.fullmatch(r"\d{1,10}\.\d{1,10}\.\d{1,10}", call.target.name) or any(
            int(part) > 2**31 - 1 for part in call.target.name.split(".")
        ):
            raise problems.invalid_parameter(
                "The value of parameter galleryImageVersionName is invalid: "
                f"'{call.target.name}' must be Major.Minor.Patch of 32-bit integers.",
                "galleryImageVersionName",
            )
        definition = call.cloud.world.get(call.target.parent_path)
        assert definition is not None
        if not definition.ready:
            raise problems.conflict()
        gallery = call.cloud.world.get(definition.id.rsplit("/", 2)[0])
        assert gallery is not None
        properties = body.setdefault("properties", {})
        profile = default(properties, publishingProfile={})["publishingProfile"]
        self._regions(body, profile)
        default(
            profile, replicaCount=1, excludeFromLatest=False, publishedDate=stamp(), storageAccountType="Standard_LRS"
        )
        default(properties, safetyProfile={})
        default(
            properties["safetyProfile"], reportedForPolicyViolation=False, allowDeletionOfReplicatedLocations=False
        )
        if old is not None:
            return self._changed(body, old)
        source = self._source(call, properties, definition)
        call.kept["source"] = source
        return body

    @staticmethod
    def _regions(body: dict[str, Any], profile: dict[str, Any]) -> None:
        shallow = str(profile.get("replicationMode", "")).lower() == "shallow"
        count = default(profile, replicaCount=1)["replicaCount"]
        kind = default(profile, storageAccountType="Standard_LRS")["storageAccountType"]
        wanted = profile.get("targetRegions") or [{"name": body["location"]}]
        seen = set()
        for region in wanted:
            place = location_name(region["name"])
            if place not in LOCATIONS:
                raise problems.invalid_parameter(
                    f"The location '{region['name']}' in targetRegions is not available.", "targetRegions"
                )
            if place in seen:
                raise problems.invalid_parameter(
                    f"The region '{region['name']}' is listed twice in targetRegions.", "targetRegions"
                )
            seen.add(place)
            region["name"] = LOCATIONS[place]
            default(region, regionalReplicaCount=count, storageAccountType=kind)
        if body["location"] not in seen:
            raise problems.invalid_parameter(
                f"The gallery image version's location '{body['location']}' must be one of its targetRegions.",
                "targetRegions",
            )
        if shallow and (len(wanted) > 1 or wanted[0]["regionalReplicaCount"] != 1):
            raise problems.invalid_parameter(
                "A shallow gallery image version has one region with one replica.", "replicationMode"
            )
        profile["targetRegions"] = wanted

    @staticmethod
    def _changed(body: dict[str, Any], old: Resource) -> dict[str, Any]:
        given = body["properties"].get("storageProfile")
        if given and _sources(given) != _sources(old.properties["storageProfile"]):
            raise ArmError(
                409,
                "PropertyChangeNotAllowed",
                "Changing property 'galleryImageVersion.properties.storageProfile' is not allowed.",
                "galleryImageVersion.properties.storageProfile",
            )
        body["properties"]["storageProfile"] = old.properties["storageProfile"]
        return body

    @staticmethod
    def _source(call: Call, properties: dict[str, Any], definition: Resource) -> Resource:
        storage = properties.get("storageProfile") or {}
        whole = storage.get("source") or {}
        disk = (storage.get("osDiskImage") or {}).get("source") or {}
        identifier = whole.get("id") or whole.get("virtualMachineId") or disk.get("id") or ""
        if not identifier:
            raise problems.missing_parameter("galleryImageVersion.properties.storageProfile.source")
        allowed = {IMAGE, VM, VERSION} if whole else {DISK, SNAPSHOT}
        found = call.cloud.world.get(identifier)
        if found is None or found.kind not in allowed:
            kind = (
                "/".join(part for index, part in enumerate(identifier.strip("/").split("/")[5:]) if index < 2)
                or "resource"
            )
            raise problems.resource_not_found(kind, identifier.rsplit("/", 1)[-1], call.target.group)
        if found.location != call.body["location"].replace(" ", "").lower() and found.kind != VERSION:
            raise problems.invalid_parameter(
                f"The source {found.id} is in '{found.location}', not in the version's location.", "source"
            )
        facts = _facts(call.cloud, found)
        wanted = definition.properties
        for name, value in facts.items():
            if value and value != wanted[name]:
                raise problems.invalid_parameter(
                    f"The {name} of the source ('{value}') does not match that of the "
                    f"gallery image ('{wanted[name]}').",
                    f"source.{name}",
                )
        if found.kind == VM and wanted["osState"] == "Generalized" and not found.state.get("generalized"):
            raise problems.operation_not_allowed(
                f"The source VM '{found.name}' must be generalized to create a version "
                "of a generalized gallery image."
            )
        security = next(
            (item["value"] for item in wanted.get("features") or [] if item["name"] == "SecurityType"), ""
        )
        if security.lower().endswith("supported") and found.kind not in {IMAGE, VERSION}:
            raise problems.invalid_parameter(
                f"The security type '{security}' is not supported for the source id '{found.id}'. Currently only Vhd "
                f"Blob, User Image and Gallery Image Version sources are supported for '{security}' images.",
                "source.id",
            )
        exact = security if security in {"TrustedLaunch", "ConfidentialVM"} else ""
        if found.kind != VERSION and _security(found) != exact:
            raise problems.operation_not_allowed(
                f"The source has the security type '{_security(found)}', the gallery image has '{security}'."
            )
        return found

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        resource.state["replicating"] = (time.monotonic(), call.cloud.pace.duration(self.type, verb))
        source: Resource | None = call.kept.get("source")
        if source is None:
            return None
        content: Content = source.state["content"]
        size = source.properties.get("diskSizeGB") or _size(source)

        def replicate() -> None:
            resource.state["content"] = content.copy()
            disk = resource.properties["storageProfile"].setdefault("osDiskImage", {})
            default(disk, hostCaching="None")
            resource.state["size"] = size

        return replicate

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        if "size" in resource.state:
            resource.properties["storageProfile"]["osDiskImage"]["sizeInGB"] = resource.state["size"]

    def seconds(self, cloud: Cloud, resource: Resource, verb: str) -> float | None:
        """Shallow replication has no copy to wait for."""
        shallow = (
            str(resource.properties.get("publishingProfile", {}).get("replicationMode", "")).lower() == "shallow"
        )
        return 60 if shallow and verb == "create" else None

    def failed(self, cloud: Cloud, resource: Resource, verb: str, error: ArmError) -> None:
        resource.state["replication"] = "Failed"

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = resource.shown()
        if query.get("$expand", "").lower() == "replicationstatus":
            shown["properties"]["replicationStatus"] = replication(resource)
        return shown

    def deleted(self, cloud: Cloud, resource: Resource) -> None:
        if (content := resource.state.pop("content", None)) is not None:
            content.dispose()


def _modern(body: Any) -> Any:
    """Before 2019-07-01 the source was in `publishingProfile.source`; packer 1.6.6 still writes it there."""
    body = copy.deepcopy(body)
    properties = body.get("properties") or {}
    source = (properties.get("publishingProfile") or {}).pop("source", None)
    if source:
        properties["storageProfile"] = {"source": {"id": source["managedImage"]["id"]}}
    return body


def _sources(storage: dict[str, Any]) -> list[str]:
    disks = [storage, storage.get("osDiskImage") or {}, *(storage.get("dataDiskImages") or [])]
    return [str((disk.get("source") or {}).get("id", "")).lower() for disk in disks]


def replication(version: Resource) -> dict[str, Any]:
    """The progress of each region, by the clock."""
    began, lasts = version.state.get("replicating", (0.0, 0.0))
    done = 1.0 if lasts <= 0 else min(1.0, (time.monotonic() - began) / lasts)
    state, percent = ("Completed", 100) if version.ready else ("Replicating", min(99, int(done * 100)))
    if version.properties.get("provisioningState") == "Failed":
        state = "Failed"
    regions = version.properties["publishingProfile"]["targetRegions"]
    summary = [{"region": region["name"], "state": state, "details": "", "progress": percent} for region in regions]
    overall = {"Completed": "Completed", "Failed": "Failed"}.get(state, "InProgress")
    return {"aggregatedState": overall, "summary": summary}


def _facts(cloud: Cloud, source: Resource) -> dict[str, str]:
    if source.kind == IMAGE:
        return {
            "osType": source.properties["storageProfile"]["osDisk"]["osType"],
            "hyperVGeneration": source.properties["hyperVGeneration"],
        }
    if source.kind == VM:
        return {
            "osType": source.properties["storageProfile"]["osDisk"]["osType"],
            "hyperVGeneration": source.state["generation"],
        }
    if source.kind == VERSION:
        definition = cloud.world.get(source.id.rsplit("/", 2)[0])
        assert definition is not None
        return {name: definition.properties[name] for name in ("osType", "hyperVGeneration", "architecture")}
    return {
        "osType": source.properties.get("osType", ""),
        "hyperVGeneration": source.properties.get("hyperVGeneration", ""),
    }


def _security(source: Resource) -> str:
    if source.kind == VM:
        return str(source.state.get("security", "")).removeprefix("Standard")
    return str((source.properties.get("securityProfile") or {}).get("securityType", ""))


def _size(source: Resource) -> int:
    storage = source.properties["storageProfile"]
    disk = storage.get("osDisk") or storage.get("osDiskImage")
    return int(disk.get("diskSizeGB") or disk.get("sizeInGB") or 30)
