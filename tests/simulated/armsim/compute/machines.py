"""Virtual machines: each runs in a sandbox of its own, with a real SSH server."""

from __future__ import annotations

import copy
import math
import time
from typing import Any, ClassVar

import azure.mgmt.compute.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.compute import machine_body, sizes
from armsim.compute.instance_view import instance_view
from armsim.compute.sources import DISK, Origin
from armsim.exchange import Answer, Call
from armsim.guests.cloud_init import first_boot
from armsim.guests.content import Content
from armsim.guests.sandbox import Sandbox
from armsim.identifiers import guid, stamp
from armsim.kinds import Kind, Work, merged
from armsim.network.interfaces import reachable_addresses
from armsim.operations import COMPUTE
from armsim.problems import ArmError
from armsim.world import Resource

VM = "Microsoft.Compute/virtualMachines"


class Machines(Kind):
    type = VM
    model = models.VirtualMachine
    patch_model = models.VirtualMachineUpdate
    style = COMPUTE
    retry: ClassVar[dict[str, tuple[float, float]]] = {
        "create": (10, 30),
        "delete": (10, 30),
        "start": (10, 9),
        "deallocate": (10, 36),
    }
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}"

    # ---- create and change --------------------------------------------------------------------------------------

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        if old is not None:
            return self._changed(call, body, old)
        return machine_body.prepare(call, body, old)

    def _changed(self, call: Call, body: dict[str, Any], old: Resource) -> dict[str, Any]:
        """An update can resize a machine, change tags, identities and data disks; not its image or profile."""
        result: dict[str, Any] = merged(old.body, body)
        given = body.get("properties") or {}
        wanted = (given.get("storageProfile") or {}).get("imageReference")
        known = old.properties["storageProfile"].get("imageReference")
        if (
            wanted
            and known
            and any(wanted.get(key) != known.get(key) for key in ("id", "publisher", "offer", "sku", "version"))
        ):
            raise ArmError(
                409,
                "PropertyChangeNotAllowed",
                "Changing property 'imageReference' is not allowed.",
                "imageReference",
            )
        profile = given.get("osProfile") or {}
        if profile.get("adminUsername") not in (None, (old.properties.get("osProfile") or {}).get("adminUsername")):
            raise ArmError(
                409,
                "PropertyChangeNotAllowed",
                "Changing property 'osProfile.adminUsername' is not allowed.",
                "osProfile.adminUsername",
            )
        if (
            result["properties"]["hardwareProfile"] != old.properties["hardwareProfile"]
            and old.state.get("power") == "running"
        ):
            sizes.admit(call, result["properties"]["hardwareProfile"]["vmSize"], result.get("zones") or [])
        return result

    def put(self, call: Call) -> Answer:
        answer = super().put(call)
        resource = call.cloud.world.get(call.target.path)
        assert resource is not None
        if "origin" in call.kept:
            size = call.kept["size"]
            lack = sizes.capacity(call.cloud, size, resource.location, resource.body.get("zones") or [])
            running = call.cloud.operations.of(resource.id)
            if lack is not None and running is not None and running.doom is None:
                running.doom = lack
        return answer

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        if verb != "create":
            return None
        cloud = call.cloud
        origin: Origin = call.kept["origin"]
        attached: Resource | None = call.kept.get("attached")
        resource.state |= {
            "power": "starting",
            "generation": origin.generation,
            "security": self._security(resource),
            "origin": origin,
        }
        if sizes.capacity(cloud, call.kept["size"], resource.location, resource.body.get("zones") or []) is not None:
            return None
        if attached is not None:
            self._hold(resource, attached)
        profile = copy.deepcopy(resource.properties.get("osProfile"))
        first = first_boot(profile, resource.properties.get("userData")) if profile and origin.os == "Linux" else None

        def boot() -> None:
            content = attached.state["content"] if attached is not None else origin.content()
            resource.state["content"] = content
            if cloud.guests and origin.os == "Linux":
                self._boot(cloud, resource, content, first)

        return boot

    @staticmethod
    def _security(resource: Resource) -> str:
        return str((resource.properties.get("securityProfile") or {}).get("securityType", ""))

    @staticmethod
    def _boot(cloud: Cloud, resource: Resource, content: Content, first: bytes | None) -> None:
        name = (resource.properties.get("osProfile") or {}).get("computerName", resource.name)
        sandbox = cloud.farm.sandbox(name, content.bootable())
        resource.state["sandbox"] = sandbox

        def powered_off() -> None:
            resource.state["power"] = "stopped"

        sandbox.on_power_off = powered_off
        with cloud.world.lock:
            nics = [
                cloud.world.get(item["id"]) for item in resource.properties["networkProfile"]["networkInterfaces"]
            ]
            addresses = [address for nic in nics if nic is not None for address in reachable_addresses(cloud, nic)]
        sandbox.start(addresses if cloud.answering else [], cloud.ssh_port, first)

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        if verb != "create":
            self._attach_data_disks(cloud, resource)
            return
        resource.state["power"] = "running"
        disk = resource.properties["storageProfile"]["osDisk"]
        if disk["createOption"].lower() == "fromimage":
            made = self._make_disk(cloud, resource, disk)
            made.state["content"] = resource.state["content"]
        self._attach_data_disks(cloud, resource)

    def failed(self, cloud: Cloud, resource: Resource, verb: str, error: ArmError) -> None:
        """A machine that failed to be made stays, with its OS disk if it came that far. Its interfaces are reserved
        for it for 180 s, even when it is gone; where nothing is waited for, they can be deleted all the same."""
        if verb == "create":
            kept = 180 / (cloud.pace.speed if math.isfinite(cloud.pace.speed) else 1)
            for item in resource.properties["networkProfile"]["networkInterfaces"]:
                if (nic := cloud.world.get(item["id"])) is not None:
                    nic.state["reserved"] = (resource.id.lower(), time.monotonic() + kept)
        if verb == "create" and error.code.startswith("OSProvisioning"):
            resource.state["power"] = "running"
            content = Content(cloud.farm)
            resource.state["content"] = content
            self._make_disk(cloud, resource, resource.properties["storageProfile"]["osDisk"]).state["content"] = (
                content
            )

    def _make_disk(self, cloud: Cloud, machine: Resource, disk: dict[str, Any]) -> Resource:
        origin: Origin = machine.state["origin"]
        group = "/".join(machine.id.split("/")[:5])
        identifier = f"{group}/providers/{DISK}/{disk['name']}"
        kind = disk["managedDisk"]["storageAccountType"]
        creation: dict[str, Any] = {"createOption": "Empty" if "lun" in disk else "FromImage"}
        properties = {
            "creationData": creation,
            "diskSizeGB": disk["diskSizeGB"],
            "diskSizeBytes": disk["diskSizeGB"] << 30,
            "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
            "networkAccessPolicy": "AllowAll",
            "publicNetworkAccess": "Enabled",
            "timeCreated": stamp(),
            "provisioningState": "Succeeded",
            "diskState": "Attached",
            "uniqueId": guid(),
        }
        if "lun" not in disk:
            properties |= {
                "osType": origin.os,
                "hyperVGeneration": origin.generation,
                "supportedCapabilities": {"architecture": origin.architecture},
            }
            if origin.plan:
                properties["purchasePlan"] = origin.plan
            if machine.state.get("security") not in {"", "Standard"}:
                properties["securityProfile"] = {"securityType": machine.state["security"]}
            given = machine.properties["storageProfile"].get("imageReference") or {}
            if given.get("id"):
                creation["imageReference" if "/galleries/" not in given["id"] else "galleryImageReference"] = {
                    "id": given["id"]
                }
        body = {
            "location": machine.location,
            "sku": {"name": kind, "tier": kind.split("_")[0]},
            "properties": properties,
        }
        body |= {key: machine.body[key] for key in ("tags", "zones") if machine.body.get(key)}
        made = cloud.world.add(Resource(identifier, DISK, disk["name"], body))
        self._hold(machine, made)
        disk["managedDisk"]["id"] = identifier
        return made

    @staticmethod
    def _hold(machine: Resource, disk: Resource) -> None:
        disk.body["managedBy"] = machine.id
        disk.properties["diskState"] = "Attached"

    def _attach_data_disks(self, cloud: Cloud, resource: Resource) -> None:
        for number, disk in enumerate(resource.properties["storageProfile"]["dataDisks"], start=2):
            disk.setdefault("name", f"{resource.name}_disk{number}_{guid().replace('-', '')}")
            identifier = disk["managedDisk"].get("id")
            if identifier is None:
                self._make_disk(cloud, resource, disk).state["content"] = Content(cloud.farm)
            elif (found := cloud.world.get(identifier)) is not None:
                self._hold(resource, found)

    # ---- show ---------------------------------------------------------------------------------------------------

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = resource.shown()
        properties = shown["properties"]
        properties.pop("userData", None)
        if "osProfile" in properties:
            properties["osProfile"] = machine_body.shown_profile(properties["osProfile"])
        if query.get("$expand", "").lower() == "instanceview":
            properties["instanceView"] = instance_view(resource)
        return shown

    def action(self, call: Call, name: str) -> Answer:
        if call.method == "GET" and name.lower() == "instanceview":
            return Answer(200, instance_view(self.existing(call)))
        if call.method != "POST":
            raise ArmError(405, "MethodNotAllowed", f"{call.method} is not supported on {name}.")
        return super().action(call, name)

    # ---- delete -------------------------------------------------------------------------------------------------

    def demolish(self, cloud: Cloud, resource: Resource) -> Work | None:
        sandbox: Sandbox | None = resource.state.get("sandbox")
        return sandbox.stop if sandbox is not None else None

    def deleted(self, cloud: Cloud, resource: Resource) -> None:
        """Disks stay, detached, unless their deleteOption says otherwise; so do NICs."""
        sandbox: Sandbox | None = resource.state.get("sandbox")
        if sandbox is not None:
            sandbox.on_power_off = None
            sandbox.stop()
        held = False
        storage = resource.properties["storageProfile"]
        for disk in (storage["osDisk"], *storage.get("dataDisks", [])):
            found = cloud.world.get((disk.get("managedDisk") or {}).get("id", ""))
            if found is None:
                continue
            held = held or found.state.get("content") is resource.state.get("content")
            found.body.pop("managedBy", None)
            found.properties["diskState"] = "Unattached"
            if str(disk.get("deleteOption")).lower() == "delete":
                cloud.world.remove(found.id)
                cloud.kinds[DISK.lower()].deleted(cloud, found)
        if not held and (content := resource.state.get("content")) is not None:
            content.dispose()
        self._delete_interfaces(cloud, resource)

    @staticmethod
    def _delete_interfaces(cloud: Cloud, resource: Resource) -> None:
        for item in resource.properties["networkProfile"]["networkInterfaces"]:
            if str((item.get("properties") or {}).get("deleteOption")).lower() == "delete":
                cloud.world.remove(item["id"])

    # ---- power --------------------------------------------------------------------------------------------------

    def do_start(self, call: Call, resource: Resource) -> Answer:
        if resource.state.get("generalized"):
            raise problems.operation_not_allowed(
                f"Operation 'start' is not allowed on VM '{resource.name}' since the VM is generalized."
            )
        sizes_needed = resource.properties["hardwareProfile"]["vmSize"]
        if resource.state.get("power") == "deallocated":
            call.body = {"location": resource.location, "properties": resource.properties}
            sizes.admit(call, sizes_needed, resource.body.get("zones") or [])
        cloud, content = call.cloud, resource.state["content"]

        def work() -> None:
            sandbox: Sandbox | None = resource.state.get("sandbox")
            if (
                cloud.guests
                and resource.state["origin"].os == "Linux"
                and not (sandbox is not None and sandbox.alive)
            ):
                self._boot(cloud, resource, content, None)

        return self.accepted(call, resource, "start", work, self._power(resource, "running"))

    def do_deallocate(self, call: Call, resource: Resource) -> Answer:
        if (resource.properties["storageProfile"]["osDisk"]).get("diffDiskSettings"):
            raise problems.operation_not_allowed(
                f"Operation 'deallocate' is not supported on VM '{resource.name}' with an ephemeral OS disk."
            )
        done = self._power(resource, "deallocated")

        def finish() -> None:
            done()
            disk = call.cloud.world.get(resource.properties["storageProfile"]["osDisk"]["managedDisk"].get("id", ""))
            if disk is not None:
                disk.properties["diskState"] = "Reserved"

        return self.accepted(call, resource, "deallocate", self.demolish(call.cloud, resource), finish)

    def do_poweroff(self, call: Call, resource: Resource) -> Answer:
        return self.accepted(
            call, resource, "powerOff", self.demolish(call.cloud, resource), self._power(resource, "stopped")
        )

    def do_restart(self, call: Call, resource: Resource) -> Answer:
        if resource.state.get("power") != "running":
            raise problems.operation_not_allowed(
                f"Operation 'restart' is not allowed on VM '{resource.name}' since the VM is not running."
            )
        sandbox: Sandbox | None = resource.state.get("sandbox")
        return self.accepted(
            call, resource, "restart", sandbox.restart if sandbox else None, self._power(resource, "running")
        )

    def do_redeploy(self, call: Call, resource: Resource) -> Answer:
        return self.do_restart(call, resource)

    def do_reapply(self, call: Call, resource: Resource) -> Answer:
        return self.accepted(call, resource, "reapply", None, lambda: None)

    def do_generalize(self, call: Call, resource: Resource) -> Answer:
        """Synchronous; the machine must be stopped. Azure looks at nothing inside."""
        if resource.state.get("power") == "running":
            raise problems.operation_not_allowed(
                f"Cannot generalize VM '{resource.name}' because it is running. Power it off first."
            )
        self._idle(call.cloud, resource)
        resource.state["generalized"] = True
        return Answer(200)

    @staticmethod
    def _power(resource: Resource, power: str) -> Any:
        def finish() -> None:
            resource.state["power"] = power

        return finish

    # ---- run command --------------------------------------------------------------------------------------------

    def do_runcommand(self, call: Call, resource: Resource) -> Answer:
        from armsim.compute.run_commands import run_action

        return run_action(self, call, resource)

    def do_retrievebootdiagnosticsdata(self, call: Call, resource: Resource) -> Answer:
        raise problems.operation_not_allowed("Boot diagnostics is not enabled on this VM.")


def agent_of(resource: Resource) -> Sandbox | None:
    """The guest whose agent can be asked; ArmError when the machine is not running or its agent is gone."""
    if resource.state.get("power") != "running":
        raise problems.operation_not_allowed("The operation requires the VM to be running (or set to run).")
    if resource.state.get("agent_gone"):
        raise ArmError(409, "OperationNotAllowed", "VM agent is not ready: the operation needs the VM agent.")
    sandbox: Sandbox | None = resource.state.get("sandbox")
    return sandbox
