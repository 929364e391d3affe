"""Virtual networks and their subnets."""

from __future__ import annotations

import ipaddress
from typing import Any, ClassVar

import azure.mgmt.network.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.exchange import Answer, Call
from armsim.identifiers import guid
from armsim.kinds import Kind, default, reference
from armsim.operations import NETWORK, Operation
from armsim.problems import ArmError
from armsim.world import Resource

NIC = "Microsoft.Network/networkInterfaces"
SUBNET = "Microsoft.Network/virtualNetworks/subnets"
NSG = "Microsoft.Network/networkSecurityGroups"


class NetworkKind(Kind):
    """What the network provider does alike: etags in bodies, 429 for a second operation on the same resource."""

    style = NETWORK
    retry: ClassVar[dict[str, tuple[float, float]]] = {"create": (3, 10), "update": (10, 10), "delete": (10, 10)}

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        return resource.shown() | {"etag": resource.etag}

    def busy(self, running: Operation) -> ArmError:
        return problems.another_operation_in_progress()

    def patch(self, call: Call) -> Answer:
        """Only tags, at once: NetworkManagementClient's update_tags."""
        resource = self.existing(call)
        if set(call.body or {}) - {"tags"}:
            raise problems.unknown_member(next(iter(set(call.body) - {"tags"})), "TagsObject", "")
        resource.body["tags"] = (call.body or {}).get("tags") or {}
        return Answer(200, self.show(call.cloud, resource, {}))


class VirtualNetworks(NetworkKind):
    type = "Microsoft.Network/virtualNetworks"
    model = models.VirtualNetwork

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        prefixes = (properties.get("addressSpace") or {}).get("addressPrefixes")
        if not prefixes:
            raise problems.missing_parameter("properties.addressSpace.addressPrefixes")
        for prefix in prefixes:
            _network(prefix)
        subnets = properties.pop("subnets", None)
        properties.pop("virtualNetworkPeerings", None)
        default(
            properties, enableDdosProtection=False, resourceGuid=old.properties["resourceGuid"] if old else guid()
        )
        shell = Resource(call.target.path, self.type, call.target.name, body)
        kept = set()
        for subnet in subnets or []:
            if not subnet.get("name"):
                raise problems.missing_parameter("properties.subnets.name")
            path = f"{call.target.path}/subnets/{subnet['name']}"
            kept.add(path.lower())
            made = prepare_subnet(call, subnet.get("properties") or {}, shell, path)
            made["provisioningState"] = "Succeeded"
            call.cloud.world.add(Resource(path, SUBNET, subnet["name"], {"properties": made}))
        if subnets is not None:
            for gone in call.cloud.world.inside(call.target.path, SUBNET):
                if gone.id.lower() not in kept:
                    unused_subnet(call.cloud, gone)
                    call.cloud.world.remove(gone.id)
        return body

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = super().show(cloud, resource, query)
        subnets = cloud.world.inside(resource.id, SUBNET)
        kind = cloud.kinds[SUBNET.lower()]
        shown["properties"]["subnets"] = [kind.show(cloud, subnet, {}) for subnet in subnets]
        shown["properties"]["virtualNetworkPeerings"] = []
        return shown

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        for subnet in cloud.world.inside(resource.id, SUBNET):
            unused_subnet(cloud, subnet)


class Subnets(NetworkKind):
    type = SUBNET
    model = models.Subnet
    located = False

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        parent = call.cloud.world.get(call.target.parent_path)
        if parent is None:
            raise problems.parent_not_found(call.target.names[0])
        return {"properties": prepare_subnet(call, body.get("properties") or {}, parent, call.target.path)}

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = super().show(cloud, resource, query)
        users = [
            {"id": config["id"]}
            for nic in cloud.world.users_of(resource.id, NIC)
            for config in nic.properties["ipConfigurations"]
        ]
        if users:
            shown["properties"]["ipConfigurations"] = users
        return shown

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        unused_subnet(cloud, resource)


def prepare_subnet(call: Call, properties: dict[str, Any], parent: Resource, path: str) -> dict[str, Any]:
    prefix = properties.get("addressPrefix") or next(iter(properties.get("addressPrefixes") or []), None)
    if prefix is None:
        raise problems.missing_parameter("properties.addressPrefix")
    network = _network(prefix)
    spaces = [_network(item) for item in parent.properties["addressSpace"]["addressPrefixes"]]
    if not any(network.subnet_of(space) for space in spaces):
        raise ArmError(
            400,
            "NetcfgInvalidSubnet",
            f"Subnet '{path.rsplit('/', 1)[1]}' is not valid in virtual network '{parent.name}'.",
        )
    for other in call.cloud.world.inside(parent.id, SUBNET):
        if other.id.lower() != path.lower() and network.overlaps(_network(other.properties["addressPrefix"])):
            raise ArmError(
                400,
                "NetcfgSubnetRangesOverlap",
                f"Subnet '{path.rsplit('/', 1)[1]}' is not valid because its IP address "
                f"range overlaps with that of an existing subnet in virtual network '{parent.name}'.",
            )
    if properties.get("networkSecurityGroup"):
        reference(call, properties["networkSecurityGroup"], NSG)
    properties["addressPrefix"] = prefix
    return default(
        properties,
        delegations=[],
        privateEndpointNetworkPolicies="Disabled",
        privateLinkServiceNetworkPolicies="Enabled",
    )


def unused_subnet(cloud: Cloud, subnet: Resource) -> None:
    for nic in cloud.world.users_of(subnet.id, NIC):
        config = nic.properties["ipConfigurations"][0]["id"]
        raise ArmError(
            400,
            "InUseSubnetCannotBeDeleted",
            f"Subnet {subnet.name} is in use by {config} and cannot be deleted. In "
            "order to delete the subnet, delete "
            "all the resources within the subnet. See aka.ms/deletesubnet.",
        )


def _network(prefix: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(prefix)
    except ValueError as cause:
        raise ArmError(
            400, "InvalidAddressPrefixFormat", f"Address prefix {prefix} of resource is not formatted correctly."
        ) from cause


def free_address(cloud: Cloud, subnet: Resource) -> str:
    """The first address of a subnet that no NIC has; Azure keeps the first four for itself."""
    taken = {
        config["properties"].get("privateIPAddress")
        for nic in cloud.world.all(NIC)
        for config in nic.properties.get("ipConfigurations", [])
    }
    hosts = iter(_network(subnet.properties["addressPrefix"]))
    for _ in range(4):
        next(hosts)
    for address in hosts:
        if str(address) not in taken:
            return str(address)
    raise ArmError(
        400,
        "SubnetIsFull",
        f"Subnet {subnet.name} with address prefix does not have enough capacity for IP addresses.",
    )
