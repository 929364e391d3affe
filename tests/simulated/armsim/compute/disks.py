"""Managed disks and snapshots."""

from __future__ import annotations

from typing import Any, ClassVar

import azure.mgmt.compute.models as models

from armsim import problems, schema
from armsim.cloud import Cloud
from armsim.compute.sources import DISK, SNAPSHOT, Origin, from_disk, from_reference
from armsim.exchange import Answer, Call
from armsim.guests.content import Content
from armsim.identifiers import guid, stamp
from armsim.kinds import Kind, Work, default
from armsim.operations import DISK as STYLE
from armsim.problems import ArmError
from armsim.world import Resource

VM = "Microsoft.Compute/virtualMachines"
_OPTIONS = {
    "empty",
    "copy",
    "import",
    "upload",
    "fromimage",
    "restore",
    "copystart",
    "importsecure",
    "uploadpreparedsecure",
}


class DiskKind(Kind):
    """What disks and snapshots share: where their content comes from, and SAS access to it."""

    style = STYLE
    retry: ClassVar[dict[str, tuple[float, float]]] = {"create": (2, 10), "update": (2, 10)}

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        creation = properties.get("creationData")
        if not creation:
            raise problems.missing_parameter("properties.creationData")
        if old is not None:
            before = old.properties["creationData"]
            if str(creation.get("sourceResourceId")).lower() != str(before.get("sourceResourceId")).lower():
                raise ArmError(
                    400, "BadRequest", "Changing property 'sourceResourceId' is not allowed.", "sourceResourceId"
                )
            return self._resized(body, old)
        option = str(creation.get("createOption", "")).lower()
        if option not in _OPTIONS:
            raise problems.invalid_parameter(
                f"The value '{creation.get('createOption')}' of parameter 'createOption' is not allowed.",
                "createOption",
            )
        body["sku"] = default(body.get("sku") or {}, name="Standard_LRS")
        body["sku"]["tier"] = body["sku"]["name"].split("_")[0].removesuffix("V2")
        source = self._source(call, option, creation)
        if source is not None:
            default(properties, osType=source.os, hyperVGeneration=source.generation)
            default(properties, supportedCapabilities={"architecture": source.architecture})
            if source.plan:
                default(properties, purchasePlan=source.plan)
            if source.security == "TrustedLaunch":
                default(properties, securityProfile={"securityType": "TrustedLaunch"})
        self._size(properties, creation, option, source)
        default(
            properties, encryption={"type": "EncryptionAtRestWithPlatformKey"}, networkAccessPolicy="AllowAll",
            publicNetworkAccess="Enabled", timeCreated=stamp(), uniqueId=guid(),
            diskState="ReadyToUpload" if option == "upload" else "Unattached",
        )  # fmt: skip
        properties["diskSizeBytes"] = properties["diskSizeGB"] << 30
        call.kept["origin"] = source
        return body

    def _source(self, call: Call, option: str, creation: dict[str, Any]) -> Origin | None:
        cloud = call.cloud
        if option in {"copy", "restore", "copystart"}:
            uri = creation.pop("sourceUri", None) or creation.get("sourceResourceId")
            if not uri:
                raise problems.missing_parameter("properties.creationData.sourceResourceId")
            found = cloud.world.get(uri)
            if found is None or found.kind not in {DISK, SNAPSHOT}:
                raise problems.resource_not_found(DISK, uri.rsplit("/", 1)[-1], call.target.group)
            if found.location != call.body["location"].replace(" ", "").lower() and option != "copystart":
                raise ArmError(400, "BadRequest", f"Resource {uri} is in a different region.", "sourceResourceId")
            if option == "copystart" and not (found.kind == SNAPSHOT and found.properties.get("incremental")):
                raise problems.invalid_parameter(
                    "The source of a CopyStart must be an incremental snapshot.", "creationData.sourceResourceId"
                )
            creation |= {"sourceResourceId": found.id, "sourceUniqueId": found.properties["uniqueId"]}
            return from_disk(found)
        if option == "fromimage":
            given = creation.get("galleryImageReference") or creation.get("imageReference") or {}
            return from_reference(call, given, call.body["location"].replace(" ", "").lower())
        if option == "import":
            if not creation.get("sourceUri"):
                raise problems.missing_parameter("properties.creationData.sourceUri")
            if not creation.get("storageAccountId"):
                raise problems.missing_parameter("properties.creationData.storageAccountId")
            return None
        if option == "upload":
            size = creation.get("uploadSizeBytes")
            if size is None:
                raise problems.missing_parameter("properties.creationData.uploadSizeBytes")
            if size < 20972032 or size % (1 << 20) != 512:
                raise problems.invalid_parameter(
                    f"The value '{size}' of parameter 'uploadSizeBytes' is out of range. The "
                    "value must be a multiple of 1 MiB plus 512 bytes.",
                    "uploadSizeBytes",
                )
        return None

    @staticmethod
    def _size(properties: dict[str, Any], creation: dict[str, Any], option: str, source: Origin | None) -> None:
        if option == "upload":
            properties["diskSizeGB"] = max(1, (creation["uploadSizeBytes"] - 512 + (1 << 30) - 1) >> 30)
        elif source is not None:
            wanted = properties.get("diskSizeGB") or source.gigabytes
            if wanted < source.gigabytes:
                raise problems.invalid_parameter(
                    f"Disk size {wanted} GB is smaller than its source ({source.gigabytes} GB).", "diskSizeGB"
                )
            properties["diskSizeGB"] = wanted
        elif option == "import":
            default(properties, diskSizeGB=30)
        elif not properties.get("diskSizeGB"):
            raise problems.missing_parameter("properties.diskSizeGB")

    @staticmethod
    def _resized(body: dict[str, Any], old: Resource) -> dict[str, Any]:
        now, wanted = old.properties["diskSizeGB"], body["properties"].get("diskSizeGB")
        if wanted is not None and wanted < now:
            raise problems.invalid_parameter("Disks or snapshot cannot be resized down.", "diskSizeGB")
        kept = old.body | {key: value for key, value in body.items() if key != "properties"}
        kept["properties"] = old.properties | body["properties"]
        kept["properties"]["diskSizeBytes"] = kept["properties"]["diskSizeGB"] << 30
        return kept

    def first(self, cloud: Cloud, resource: Resource) -> dict[str, Any]:
        shown = resource.shown()
        wanted = ("creationData", "diskSizeGB", "osType", "hyperVGeneration", "incremental", "provisioningState")
        shown["properties"] = {key: value for key, value in shown["properties"].items() if key in wanted}
        return shown

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        if verb != "create":
            return None
        cloud = call.cloud
        source, creation = call.kept["origin"], resource.properties["creationData"]

        def fill() -> None:
            content = source.content() if source is not None else Content(cloud.farm)
            if str(creation["createOption"]).lower() == "import":
                content = Content(cloud.farm, image=cloud.farm.folder / f"import-{guid()}")
                size = cloud.blobs.read(creation["sourceUri"], content.image)  # type: ignore[arg-type]
                resource.properties["diskSizeGB"] = max(1, (size - 512 + (1 << 30) - 1) >> 30)
            resource.state["content"] = content

        return fill

    def deleted(self, cloud: Cloud, resource: Resource) -> None:
        content: Content | None = resource.state.pop("content", None)
        if content is not None:
            content.dispose()

    # ---- SAS access ---------------------------------------------------------------------------------------------

    def do_begingetaccess(self, call: Call, resource: Resource) -> Answer:
        schema.check(models.GrantAccessData, call.body)
        write = call.body["access"].lower() == "write"
        properties = resource.properties
        uploading = properties["diskState"] in {"ReadyToUpload", "ActiveUpload"}
        if write != uploading:
            wanted = "a disk created with the Upload option" if write else "a disk that is not waiting for an upload"
            raise problems.operation_not_allowed(
                f"Granting {call.body['access']} access needs {wanted}; this one is in "
                f"state {properties['diskState']}."
            )
        if properties["diskState"] == "Attached" or (
            resource.body.get("managedBy") and self._in_use(call.cloud, resource)
        ):
            raise problems.operation_not_allowed(
                f"Disk {resource.name} is attached to VM {resource.body['managedBy']}; "
                "access cannot be granted while it runs."
            )
        blob = f"{resource.properties['uniqueId']}.vhd"
        content: Content = resource.state["content"]
        size = properties["creationData"].get("uploadSizeBytes", 0)
        cloud = call.cloud
        properties["diskState"] = "ActiveUpload" if write else "ActiveSAS"
        url = cloud.blobs.grant(blob, write=write, seconds=call.body["durationInSeconds"])

        def work() -> None:
            target = cloud.blobs.page_blob(blob)
            if write and not target.exists():
                target.create_page_blob(size)
            elif not write:
                content.export(target, properties["diskSizeBytes"])

        return self.accepted(call, resource, "beginGetAccess", work, lambda: {"accessSAS": url})

    def do_endgetaccess(self, call: Call, resource: Resource) -> Answer:
        cloud = call.cloud
        blob = f"{resource.properties['uniqueId']}.vhd"
        content: Content = resource.state["content"]
        uploaded = resource.properties["diskState"] == "ActiveUpload"

        def work() -> None:
            target = cloud.blobs.page_blob(blob)
            if uploaded:
                content.take(target)
            if target.exists():
                target.delete_blob()

        def finish() -> None:
            resource.properties["diskState"] = "Reserved" if resource.body.get("managedBy") else "Unattached"

        return self.accepted(call, resource, "endGetAccess", work, finish)

    @staticmethod
    def _in_use(cloud: Cloud, resource: Resource) -> bool:
        machine = cloud.world.get(resource.body["managedBy"])
        return machine is not None and machine.state.get("power") != "deallocated"

    def _accessed(self, resource: Resource) -> None:
        if resource.properties.get("diskState") in {"ActiveSAS", "ActiveUpload"}:
            raise problems.operation_not_allowed(
                "There is an active shared access signature outstanding for disk "
                f"{resource.name}. Call EndGetAccess to revoke the access."
            )


class Disks(DiskKind):
    type = DISK
    model = models.Disk
    patch_model = models.DiskUpdate

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        if resource.body.get("managedBy"):
            raise problems.operation_not_allowed(
                f"Disk {resource.name} is attached to VM {resource.body['managedBy']}."
            )
        self._accessed(resource)

    def delete_absent(self, call: Call) -> Answer:
        return Answer(204)


class Snapshots(DiskKind):
    type = SNAPSHOT
    model = models.Snapshot
    patch_model = models.SnapshotUpdate

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        body = super().prepare(call, body, old)
        return body | {"properties": default(body["properties"], incremental=False)}

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        resource.properties["completionPercent"] = 100.0

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        self._accessed(resource)
