"""Public IP addresses: each is a loopback address of its own, so that a guest may listen on port 22 of it."""

from __future__ import annotations

import itertools
import os
from typing import Any, ClassVar

import azure.mgmt.network.models as models

from armsim.cloud import Cloud
from armsim.exchange import Call
from armsim.identifiers import guid
from armsim.kinds import default
from armsim.network.virtual_networks import NIC, NetworkKind
from armsim.problems import ArmError
from armsim.world import Resource

PIP = "Microsoft.Network/publicIPAddresses"
_NEXT = itertools.count()
_BLOCK = 64 + os.getpid() % 60


def fresh_loopback() -> str:
    """127.x.y.z that no other simulator of this machine is likely to hand out."""
    number = next(_NEXT)
    return f"127.{_BLOCK}.{os.getpid() // 60 % 200 + number // 250}.{number % 250 + 2}"


class PublicAddresses(NetworkKind):
    type = PIP
    model = models.PublicIPAddress
    retry: ClassVar[dict[str, tuple[float, float]]] = {"create": (3, 2), "update": (3, 2), "delete": (10, 10)}

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        sku = default(body, sku={})["sku"]
        default(sku, name="Basic", tier="Regional")
        standard = sku["name"].lower() == "standard"
        default(
            properties,
            publicIPAllocationMethod="Static" if standard else "Dynamic",
            publicIPAddressVersion="IPv4",
            idleTimeoutInMinutes=4,
            ipTags=[],
            resourceGuid=old.properties["resourceGuid"] if old else guid(),
        )
        if standard and properties["publicIPAllocationMethod"].lower() != "static":
            text = f"Standard sku publicIp {call.target.path} must have AllocationMethod set to Static."
            raise ArmError(400, "StandardSkuPublicIPAddressMustBeStatic", text)
        if body.get("zones") and not standard:
            raise ArmError(
                400,
                "ResourceTypeDoesNotSupportZones",
                f"Basic sku public IP {call.target.path} does not support zones.",
            )
        if old is not None and "ipAddress" in old.properties:
            properties["ipAddress"] = old.properties["ipAddress"]
        label = (properties.get("dnsSettings") or {}).get("domainNameLabel")
        if label:
            properties["dnsSettings"]["fqdn"] = f"{label}.{body['location']}.cloudapp.azure.com"
        return body

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        """A static address is there from the start; a dynamic one comes with a running machine."""
        if resource.properties["publicIPAllocationMethod"].lower() == "static":
            default(resource.properties, ipAddress=fresh_loopback())

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = super().show(cloud, resource, query)
        if (config := self._user(cloud, resource)) is not None:
            shown["properties"]["ipConfiguration"] = {"id": config}
        return shown

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        if (config := self._user(cloud, resource)) is not None:
            raise ArmError(
                400,
                "PublicIPAddressCannotBeDeleted",
                f"Public IP address {resource.id} can not be deleted since it is still "
                f"allocated to resource {config}. In "
                "order to delete the public IP, disassociate/detach the Public IP "
                "address from the resource.  To learn how "
                "to do this, see aka.ms/deletepublicip.",
            )

    @staticmethod
    def _user(cloud: Cloud, resource: Resource) -> str | None:
        for nic in cloud.world.users_of(resource.id, NIC):
            return str(nic.properties["ipConfigurations"][0]["id"])
        return None
