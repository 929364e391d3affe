"""Managed images."""

from __future__ import annotations

from typing import Any

import azure.mgmt.compute.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.compute.sources import DISK, IMAGE, SNAPSHOT
from armsim.exchange import Call
from armsim.guests.content import Content
from armsim.identifiers import guid
from armsim.kinds import Kind, Work, default
from armsim.operations import COMPUTE
from armsim.problems import ArmError
from armsim.world import Resource

VM = "Microsoft.Compute/virtualMachines"


class Images(Kind):
    type = IMAGE
    model = models.Image
    patch_model = models.ImageUpdate
    style = COMPUTE

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        if old is not None:
            if body.get("properties", {}).get("sourceVirtualMachine") != old.properties.get("sourceVirtualMachine"):
                raise ArmError(
                    409,
                    "PropertyChangeNotAllowed",
                    "Changing property 'sourceVirtualMachine.id' is not allowed.",
                    "sourceVirtualMachine.id",
                )
            if _sources(body) != _sources(old.body):
                raise ArmError(
                    409,
                    "PropertyChangeNotAllowed",
                    "Changing property 'storageProfile.osDisk' is not allowed.",
                    "storageProfile.osDisk",
                )
            return old.body | {"tags": body.get("tags") or {}}
        properties = body.setdefault("properties", {})
        source = properties.get("sourceVirtualMachine")
        disk = (properties.get("storageProfile") or {}).get("osDisk")
        if bool(source) == bool(disk):
            raise problems.invalid_parameter(
                "Exactly one of sourceVirtualMachine and storageProfile.osDisk must be given.", "sourceVirtualMachine"
            )
        if source:
            self._from_machine(call, body, source)
        else:
            self._from_disk(call, properties, disk or {})
        return body

    def _from_machine(self, call: Call, body: dict[str, Any], source: dict[str, Any]) -> None:
        machine = call.cloud.world.get(source.get("id", ""))
        if machine is None or machine.kind != VM:
            raise problems.resource_not_found(VM, source.get("id", "").rsplit("/", 1)[-1], call.target.group)
        if not machine.state.get("generalized"):
            raise problems.operation_not_allowed(
                f"The operation 'Capture' requires the Virtual Machine '{machine.name}' "
"to be 'Generalized'. For more information, please "
                "refer to https://aka.ms/vm-capture.", "sourceVirtualMachine",
            )  # fmt: skip
        if machine.location != body["location"]:
            raise problems.invalid_parameter("The image and its source VM must be in the same region.", "location")
        if machine.state.get("security") == "TrustedLaunch":
            raise problems.operation_not_allowed(
                f"The operation 'Capture' is not supported on VM '{machine.name}' with security type 'TrustedLaunch'."
            )
        generation = machine.state["generation"]
        given = body["properties"].get("hyperVGeneration")
        if given not in (None, generation):
            raise problems.invalid_parameter(
                f"The HyperVGeneration of the image ({given}) does not match that of the source VM ({generation}).",
                "hyperVGeneration",
            )
        os_disk = machine.properties["storageProfile"]["osDisk"]
        body["properties"]["hyperVGeneration"] = generation
        old = body["properties"].get("storageProfile") or {}
        body["properties"]["storageProfile"] = {
            "osDisk": {
                "osType": os_disk["osType"],
                "osState": "Generalized",
                "diskSizeGB": os_disk["diskSizeGB"],
                "caching": os_disk["caching"],
                "storageAccountType": os_disk["managedDisk"]["storageAccountType"],
                "managedDisk": {"id": os_disk["managedDisk"]["id"]},
            },
            "dataDisks": [],
            "zoneResilient": bool(old.get("zoneResilient")),
        }
        content: Content = machine.state["content"]
        call.kept["copy"] = content.copy

    def _from_disk(self, call: Call, properties: dict[str, Any], disk: dict[str, Any]) -> None:
        cloud = call.cloud
        default(properties, hyperVGeneration="V1")
        default(disk, caching="None", storageAccountType="Standard_LRS")
        default(properties["storageProfile"], dataDisks=[], zoneResilient=False)
        for name in ("osType", "osState"):
            if not disk.get(name):
                raise problems.missing_parameter(f"osDisk.{name}")
        for key, kind in (("snapshot", SNAPSHOT), ("managedDisk", DISK)):
            if disk.get(key):
                found = cloud.world.get(disk[key].get("id", ""))
                if found is None or found.kind != kind:
                    raise problems.resource_not_found(
                        kind, disk[key].get("id", "").rsplit("/", 1)[-1], call.target.group
                    )
                disk[key]["id"] = found.id
                if (found.properties.get("securityProfile") or {}).get("securityType"):
                    raise problems.operation_not_allowed(
                        "A managed image cannot be created from a disk with a security type."
                    )
                disk.setdefault("diskSizeGB", found.properties["diskSizeGB"])
                call.kept["copy"] = found.state["content"].copy
                call.kept["plan"] = found.properties.get("purchasePlan")
                return
        if not disk.get("blobUri"):
            raise problems.missing_parameter("osDisk.blobUri")
        disk.setdefault("diskSizeGB", 30)
        uri = disk["blobUri"]

        def fetch() -> Content:
            content = Content(cloud.farm, image=cloud.farm.folder / f"import-{guid()}")
            cloud.blobs.read(uri, content.image)  # type: ignore[arg-type]
            return content

        call.kept["copy"] = fetch

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        copy = call.kept.get("copy")
        if copy is None:
            return None

        def capture() -> None:
            resource.state["content"] = copy()
            resource.state["plan"] = call.kept.get("plan")

        return capture

    def deleted(self, cloud: Cloud, resource: Resource) -> None:
        if (content := resource.state.pop("content", None)) is not None:
            content.dispose()


def _sources(body: dict[str, Any]) -> list[str]:
    """What the disks of an image are made from, by id."""
    storage = (body.get("properties") or {}).get("storageProfile") or {}
    disks = [storage.get("osDisk") or {}, *(storage.get("dataDisks") or [])]
    return [str((disk.get("snapshot") or disk.get("managedDisk") or {}).get("id", "")).lower() for disk in disks]
