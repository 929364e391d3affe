"""Network interfaces, and the addresses at which a guest behind one may be reached."""

from __future__ import annotations

import ipaddress
import math
import time
from typing import Any, ClassVar

import azure.mgmt.network.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.exchange import Answer, Call
from armsim.identifiers import etag, guid
from armsim.kinds import default, reference
from armsim.network.public_addresses import PIP, fresh_loopback
from armsim.network.security_groups import admits
from armsim.network.virtual_networks import NIC, NSG, SUBNET, NetworkKind, free_address
from armsim.problems import ArmError
from armsim.world import Resource

VM = "Microsoft.Compute/virtualMachines"


class Interfaces(NetworkKind):
    type = NIC
    model = models.NetworkInterface
    instant = True
    retry: ClassVar[dict[str, tuple[float, float]]] = {"update": (10, 10), "delete": (10, 10)}

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        configs = properties.get("ipConfigurations")
        if not configs:
            raise problems.missing_parameter("properties.ipConfigurations")
        tag = etag()
        for index, config in enumerate(configs):
            self._configuration(call, config, index, tag, old)
        if properties.get("networkSecurityGroup"):
            reference(call, properties["networkSecurityGroup"], NSG)
        default(
            properties,
            dnsSettings={
                "dnsServers": [],
                "appliedDnsServers": [],
                "internalDomainNameSuffix": "bx.internal.cloudapp.net",
            },
            enableAcceleratedNetworking=False,
            enableIPForwarding=False,
            disableTcpStateTracking=False,
            vnetEncryptionSupported=False,
            hostedWorkloads=[],
            tapConfigurations=[],
            nicType="Standard",
            allowPort25Out=True,
            resourceGuid=old.properties["resourceGuid"] if old else guid(),
        )
        body["kind"] = "Regular"
        return body

    def _configuration(self, call: Call, config: dict[str, Any], index: int, tag: str, old: Resource | None) -> None:
        if not config.get("name"):
            raise problems.missing_parameter("properties.ipConfigurations.name")
        inner = config.setdefault("properties", {})
        subnet = reference(call, inner.get("subnet"), SUBNET)
        network = call.cloud.world.get(subnet.id.rsplit("/", 2)[0])
        if network is None or network.location != call.body["location"].replace(" ", "").lower():
            raise problems.invalid_reference(subnet.id, call.target.path)
        if inner.get("publicIPAddress"):
            address = reference(call, inner["publicIPAddress"], PIP)
            for nic in call.cloud.world.users_of(address.id, NIC):
                if nic.id.lower() != call.target.path.lower():
                    raise ArmError(
                        400,
                        "PublicIPAddressInUse",
                        f"Resource {call.target.path} is referencing public IP address "
                        f"{address.id} "
                        f"that is already allocated to resource {nic.properties['ipConfigurations'][0]['id']}.",
                    )
        known = {item["name"]: item["properties"] for item in old.properties["ipConfigurations"]} if old else {}
        address_now = inner.get("privateIPAddress") or known.get(config["name"], {}).get("privateIPAddress")
        default(
            inner,
            provisioningState="Succeeded",
            privateIPAddress=address_now or free_address(call.cloud, subnet),
            privateIPAllocationMethod="Dynamic",
            primary=index == 0,
            privateIPAddressVersion="IPv4",
        )
        config |= {
            "id": f"{call.target.path}/ipConfigurations/{config['name']}",
            "etag": tag,
            "type": f"{NIC}/ipConfigurations",
        }

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = super().show(cloud, resource, query)
        for machine in cloud.world.users_of(resource.id, VM):
            shown["properties"] |= {
                "virtualMachine": {"id": machine.id},
                "primary": True,
                "macAddress": "00-22-48-00-00-01",
            }
        return shown

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        for machine in cloud.world.users_of(resource.id, VM):
            raise ArmError(
                400,
                "NicInUse",
                f"Network Interface {resource.id} is used by existing resource "
                f"{machine.id}. In order to delete the network "
                "interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
            )
        if math.isfinite(cloud.pace.speed):
            refuse_reserved(resource)

    def dispose(self, call: Call, resource: Resource) -> Answer:
        answer = super().dispose(call, resource)
        answer.headers.pop("Retry-After", None)
        return answer


def refuse_reserved(nic: Resource, machine: str = "") -> None:
    """Raises ArmError for an interface that is kept for another machine than the one at this path."""
    reserved_for, until = nic.state.get("reserved", ("", 0.0))
    if reserved_for not in ("", machine.lower()) and time.monotonic() < until:
        raise ArmError(
            400,
            "NicReservedForAnotherVm",
            "Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide another "
            f"nic(s) or retry after 180 seconds. Reserved VM: {reserved_for}",
        )


def reachable_addresses(cloud: Cloud, nic: Resource, port: int = 22) -> list[str]:
    """Where a guest behind this NIC listens: loopback addresses that its security groups open to the agent.

    A public address needs a rule that lets the agent in (without any group a Basic one is open, a Standard one
    shut); a private address that lies in 127.0.0.0/8 is reached by an agent inside the network.
    """
    found = []
    for config in nic.properties["ipConfigurations"]:
        inner = config["properties"]
        private = inner["privateIPAddress"]
        if ipaddress.ip_address(private).is_loopback:
            found.append(private)
        address = cloud.world.get((inner.get("publicIPAddress") or {}).get("id", ""))
        if address is None:
            continue
        default(address.properties, ipAddress=fresh_loopback())
        if _admitted(cloud, nic, inner, address, port):
            found.append(address.properties["ipAddress"])
    return found


def _admitted(cloud: Cloud, nic: Resource, config: dict[str, Any], address: Resource, port: int) -> bool:
    subnet = cloud.world.get(config["subnet"]["id"])
    owners = [owner for owner in (nic, subnet) if owner is not None]
    identifiers = [(owner.properties.get("networkSecurityGroup") or {}).get("id") for owner in owners]
    groups = [
        group for identifier in identifiers if identifier and (group := cloud.world.get(identifier)) is not None
    ]
    if not groups:
        return bool(address.body["sku"]["name"].lower() == "basic")
    return all(admits(group, port, cloud.agent_address) for group in groups)
