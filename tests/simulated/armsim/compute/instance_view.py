"""What instanceView says of a machine."""

from __future__ import annotations

from typing import Any

from armsim.identifiers import stamp
from armsim.world import Resource

_POWER = {
    "running": "VM running", "stopped": "VM stopped", "deallocated": "VM deallocated", "starting": "VM starting",
    "stopping": "VM stopping", "deallocating": "VM deallocating",
}  # fmt: skip


def instance_view(machine: Resource) -> dict[str, Any]:
    state = str(machine.properties.get("provisioningState"))
    power = machine.state.get("power", "starting")
    statuses = [_provisioning(state)]
    if machine.state.get("generalized"):
        statuses.append({"code": "OSState/generalized", "level": "Info", "displayStatus": "VM generalized"})
    if state != "Creating":
        statuses.append({"code": f"PowerState/{power}", "level": "Info", "displayStatus": _POWER[power]})
    storage = machine.properties["storageProfile"]
    disks = [storage["osDisk"], *storage.get("dataDisks", [])]
    view: dict[str, Any] = {
        "disks": [{"name": disk["name"], "statuses": [_succeeded()]} for disk in disks if "name" in disk],
        "hyperVGeneration": machine.state.get("generation", "V1"),
        "statuses": statuses,
    }
    if power == "running":
        view |= {
            "computerName": (machine.properties.get("osProfile") or {}).get("computerName", machine.name),
            "osName": "debian" if storage["osDisk"].get("osType") == "Linux" else "Windows Server",
            "osVersion": "12",
        }
        view["vmAgent"] = _agent(machine)
    return view


def _provisioning(state: str) -> dict[str, Any]:
    if state == "Failed":
        return {
            "code": "ProvisioningState/failed/1",
            "level": "Error",
            "displayStatus": "Provisioning failed",
            "time": stamp(),
        }
    if state == "Succeeded":
        return _succeeded()
    if state == "Creating":
        code = "ProvisioningState/creating/osProvisioningInProgress"
        return {"code": code, "level": "Info", "displayStatus": "OS provisioning in progress", "time": stamp()}
    return {"code": "ProvisioningState/updating", "level": "Info", "displayStatus": "Updating", "time": stamp()}


def _succeeded() -> dict[str, Any]:
    return {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "time": stamp(),
    }


def _agent(machine: Resource) -> dict[str, Any]:
    if machine.state.get("agent_gone"):
        status = {
            "code": "ProvisioningState/Unavailable",
            "level": "Warning",
            "displayStatus": "Not Ready",
            "message": "VM status blob is found but not yet populated.",
            "time": stamp(),
        }
        return {"vmAgentVersion": "Unknown", "statuses": [status]}
    status = {
        "code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready",
        "message": "Guest Agent is running", "time": stamp(),
    }  # fmt: skip
    return {"vmAgentVersion": "2.15.0.1", "statuses": [status], "extensionHandlers": []}
