"""VM extensions: VMAccessForLinux (a fresh key for a user) and CustomScript."""

from __future__ import annotations

import base64
from typing import Any

import azure.mgmt.compute.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.compute.machines import agent_of
from armsim.exchange import Call
from armsim.guests.cloud_init import install_key
from armsim.guests.sandbox import Sandbox
from armsim.kinds import Kind, Work
from armsim.operations import COMPUTE
from armsim.problems import ArmError
from armsim.world import Resource

KNOWN = {("microsoft.ostcextensions", "vmaccessforlinux"), ("microsoft.azure.extensions", "customscript")}


class Extensions(Kind):
    type = "Microsoft.Compute/virtualMachines/extensions"
    model = models.VirtualMachineExtension
    patch_model = models.VirtualMachineExtensionUpdate
    style = COMPUTE

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        for name in ("publisher", "type", "typeHandlerVersion"):
            if not properties.get(name):
                raise problems.missing_parameter(f"properties.{name}")
        key = (properties["publisher"].lower(), properties["type"].lower())
        if key not in KNOWN:
            raise problems.not_found(
                f"The handler for VM extension type '{properties['publisher']}.{properties['type']}' with version "
                f"'{properties['typeHandlerVersion']}' was not found in the extension repository."
            )
        machine = call.cloud.world.get(call.target.parent_path)
        assert machine is not None
        call.kept |= {"sandbox": agent_of(machine), "protected": properties.get("protectedSettings") or {}}
        return body

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        sandbox: Sandbox | None = call.kept["sandbox"]
        if sandbox is None:
            return None
        settings = (resource.properties.get("settings") or {}) | call.kept["protected"]
        script = self._script(resource.properties["type"], settings)

        def run() -> None:
            code, out, err = sandbox.execute(script)
            if code:
                text = (out + err).decode(errors="replace")[-2000:]
                handler = f"publisher '{resource.properties['publisher']}' and type '{resource.properties['type']}'"
                raise ArmError(
                    200,
                    "VMExtensionProvisioningError",
                    f"VM has reported a failure when processing extension '{resource.name}' ({handler}). "
                    "Error message: 'Enable failed: failed to execute command: command terminated with exit "
                    f"status={code}\n{text}'.",
                )

        return run

    @staticmethod
    def _script(kind: str, settings: dict[str, Any]) -> str:
        if kind.lower() == "vmaccessforlinux":
            if settings.get("remove_user"):
                return f"userdel -f -r {settings['remove_user']}"
            if not settings.get("username") or not (settings.get("ssh_key") or settings.get("password")):
                return "echo 'username and ssh_key or password are needed' >&2; exit 53"
            return install_key(settings["username"], settings.get("ssh_key", ""))
        if settings.get("script"):
            return base64.b64decode(settings["script"]).decode()
        return str(settings.get("commandToExecute", "exit 0"))

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = resource.shown()
        shown["properties"].pop("protectedSettings", None)
        return shown
