"""How the build VM is reached: a network of its own that lets in this agent only, or a subnet that is there."""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from imagewright.core.clock import Deadline
from imagewright.core.errors import OptionsError, PlatformError
from imagewright.platforms.azure.arm import Arm, Json, together
from imagewright.platforms.azure.place import Place

SPACE, SUBNET, SUBNET_NAME = "10.0.0.0/16", "10.0.0.0/24", "build"
ORACLES = ("https://api.ipify.org", "https://checkip.amazonaws.com")
"""They answer with the address that a request comes from: what Azure sees of this agent."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface, and the address at which the guest behind it is reached."""

    id: str
    host: str


def own_network(arm: Arm, place: Place, label: str, admitted: str, deadline: Deadline) -> Interface:
    """A virtual network with a public address. `admitted` is the address (or CIDR) that may reach port 22.

    `admitted` may be `""`: no public address then, and nobody is let in.
    """
    addresses: list[str] = []
    works: list[Callable[[], None]] = [
        lambda: _network(arm, place, label, deadline),
        lambda: _security_group(arm, place, label, admitted, deadline),
    ]
    if admitted:
        works.append(lambda: addresses.append(_public_address(arm, place, label, deadline)))
    together(*works)
    subnet = place.resource("Microsoft.Network/virtualNetworks/subnets", f"{label}-vnet", SUBNET_NAME)
    guard = place.resource("Microsoft.Network/networkSecurityGroups", f"{label}-nsg")
    public = place.resource("Microsoft.Network/publicIPAddresses", f"{label}-ip") if admitted else ""
    private = _interface(arm, place, label, subnet, guard, public, deadline)
    return Interface(_nic_id(place, label), addresses[0] if addresses else private)


def in_subnet(arm: Arm, place: Place, label: str, subnet: str, deadline: Deadline) -> Interface:
    """An interface in a subnet that is there, with no public address."""
    return Interface(_nic_id(place, label), _interface(arm, place, label, subnet, "", "", deadline))


def agent_address(given: str, deadline: Deadline) -> str:
    """The address that Azure sees of this agent: the given one, or what public services see; `""` if none answers."""
    if given:
        try:
            network = ipaddress.ip_network(given, strict=False)
        except ValueError as error:
            raise OptionsError(
                f"`--agent-address`: '{given}' is no IP address or CIDR", hint="for example 203.0.113.7"
            ) from error
        if network.num_addresses > 1 << 16:
            raise OptionsError(
                f"`--agent-address`: {given} is half the internet", hint="name the addresses that your agent has"
            )
        return given
    for oracle in ORACLES:
        deadline.check()
        try:
            with urllib.request.urlopen(oracle, timeout=5) as answer:
                return str(ipaddress.ip_address(answer.read(64).decode().strip()))
        except (OSError, ValueError):
            continue
    return ""


def _network(arm: Arm, place: Place, label: str, deadline: Deadline) -> None:
    subnet = {"name": SUBNET_NAME, "properties": {"addressPrefix": SUBNET, "defaultOutboundAccess": True}}
    body = place.body({"addressSpace": {"addressPrefixes": [SPACE]}, "subnets": [subnet]})
    arm.do(
        "creating the virtual network",
        deadline,
        lambda c, k: c.network.virtual_networks.begin_create_or_update(place.group, f"{label}-vnet", body, **k),
        result=False,
    )


def _security_group(arm: Arm, place: Place, label: str, admitted: str, deadline: Deadline) -> None:
    rule = {
        "name": "ssh-from-this-agent",
        "properties": {
            "priority": 100,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": "Tcp",
            "sourceAddressPrefix": admitted,
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "22",
        },
    }
    body = place.body({"securityRules": [rule] if admitted else []})
    arm.do(
        "creating the network security group",
        deadline,
        lambda c, k: c.network.network_security_groups.begin_create_or_update(place.group, f"{label}-nsg", body, **k),
        result=False,
    )


def _public_address(arm: Arm, place: Place, label: str, deadline: Deadline) -> str:
    body = place.body({"publicIPAllocationMethod": "Static"}, sku={"name": "Standard"})
    made = arm.do(
        "creating the public address",
        deadline,
        lambda c, k: c.network.public_ip_addresses.begin_create_or_update(place.group, f"{label}-ip", body, **k),
    )
    address = made["properties"].get("ipAddress")
    if not address:
        raise PlatformError("Azure gave the build VM no public address", hint="build again")
    return str(address)


def _interface(arm: Arm, place: Place, label: str, subnet: str, guard: str, public: str, deadline: Deadline) -> str:
    """Its private address; `""` where it has a public one, which is all that we need then."""
    inner: dict[str, object] = {"subnet": {"id": subnet}}
    if public:
        inner["publicIPAddress"] = {"id": public, "properties": {"deleteOption": "Delete"}}
    properties: dict[str, object] = {"ipConfigurations": [{"name": "main", "properties": inner}]}
    if guard:
        properties["networkSecurityGroup"] = {"id": guard}
    body = place.body(properties)
    made: Json | None = arm.do(
        "creating the network interface",
        deadline,
        lambda c, k: c.network.network_interfaces.begin_create_or_update(place.group, f"{label}-nic", body, **k),
        result=not public,
    )
    return str(made["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]) if made else ""


def _nic_id(place: Place, label: str) -> str:
    return place.resource("Microsoft.Network/networkInterfaces", f"{label}-nic")
