"""Network security groups, and what they let through."""

from __future__ import annotations

import ipaddress
from typing import Any

import azure.mgmt.network.models as models

from armsim import problems
from armsim.cloud import Cloud
from armsim.exchange import Call
from armsim.identifiers import etag, guid
from armsim.kinds import default
from armsim.network.virtual_networks import NIC, NSG, SUBNET, NetworkKind
from armsim.problems import ArmError
from armsim.world import Resource

_DEFAULTS = (
    ("AllowVnetInBound", "Inbound", "Allow", 65000, "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", "Inbound", "Allow", 65001, "AzureLoadBalancer", "*"),
    ("DenyAllInBound", "Inbound", "Deny", 65500, "*", "*"),
    ("AllowVnetOutBound", "Outbound", "Allow", 65000, "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", "Outbound", "Allow", 65001, "*", "Internet"),
    ("DenyAllOutBound", "Outbound", "Deny", 65500, "*", "*"),
)


class SecurityGroups(NetworkKind):
    type = NSG
    model = models.NetworkSecurityGroup

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        default(properties, securityRules=[], resourceGuid=old.properties["resourceGuid"] if old else guid())
        seen: dict[tuple[str, int], str] = {}
        for rule in properties["securityRules"]:
            _finish_rule(call.target.path, rule, seen)
        properties["defaultSecurityRules"] = [_default_rule(call.target.path, *row) for row in _DEFAULTS]
        return body

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        users = [*cloud.world.users_of(resource.id, NIC), *cloud.world.users_of(resource.id, SUBNET)]
        if users:
            raise ArmError(
                400,
                "InUseNetworkSecurityGroupCannotBeDeleted",
                f"Network security group {resource.id} cannot be deleted because it is "
                "in use by the following resources: "
                f"{', '.join(user.id for user in users)}. In order to delete the Network security group, remove the "
                "association with the resource(s). To learn how to do this, see aka.ms/deletensg.",
            )


def _finish_rule(group: str, rule: dict[str, Any], seen: dict[tuple[str, int], str]) -> None:
    if not rule.get("name"):
        raise problems.missing_parameter("properties.securityRules.name")
    inner = rule.setdefault("properties", {})
    for name in ("protocol", "access", "direction", "priority"):
        if inner.get(name) is None:
            raise ArmError(
                400,
                "SecurityRuleMissingParameter",
                f"Security rule {rule['name']} is missing the parameter '{name}'.",
            )
    for side in ("source", "destination"):
        if not any(
            inner.get(f"{side}{suffix}")
            for suffix in ("AddressPrefix", "AddressPrefixes", "ApplicationSecurityGroups")
        ):
            raise ArmError(
                400, "SecurityRuleParameterRequired", f"Security rule {rule['name']} has no {side} address prefix."
            )
        if not any(inner.get(f"{side}{suffix}") for suffix in ("PortRange", "PortRanges")):
            raise ArmError(
                400, "SecurityRuleParameterRequired", f"Security rule {rule['name']} has no {side} port range."
            )
    if not 100 <= inner["priority"] <= 4096:
        raise ArmError(
            400,
            "SecurityRuleInvalidPriority",
            (
                f"Security rule {rule['name']} has invalid Priority. Value provided: "
                f"{inner['priority']} Allowed range 100-4096."
            ),
        )
    key = (inner["direction"].lower(), inner["priority"])
    if key in seen:
        raise ArmError(
            400,
            "SecurityRuleConflict",
            (
                f"Security rule {rule['name']} conflicts with rule {seen[key]}. Rules "
                "cannot have the same Priority and Direction."
            ),
        )
    seen[key] = rule["name"]
    rule |= {"id": f"{group}/securityRules/{rule['name']}", "type": f"{NSG}/securityRules", "etag": etag()}
    default(
        inner,
        provisioningState="Succeeded",
        sourceAddressPrefixes=[],
        destinationAddressPrefixes=[],
        sourcePortRanges=[],
        destinationPortRanges=[],
    )


def _default_rule(
    group: str, name: str, direction: str, access: str, priority: int, source: str, destination: str
) -> dict[str, Any]:
    return {
        "name": name,
        "id": f"{group}/defaultSecurityRules/{name}",
        "type": f"{NSG}/defaultSecurityRules",
        "etag": etag(),
        "properties": {
            "provisioningState": "Succeeded",
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
            "access": access,
            "priority": priority,
            "direction": direction,
            "sourcePortRanges": [],
            "destinationPortRanges": [],
            "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
        },
    }


def admits(group: Resource, port: int, source: str) -> bool:
    """Whether the first inbound rule that fits TCP from `source` (outside the network) to `port` allows it."""
    rules = [*group.properties["securityRules"], *group.properties["defaultSecurityRules"]]
    inbound = [rule["properties"] for rule in rules if rule["properties"]["direction"].lower() == "inbound"]
    for rule in sorted(inbound, key=lambda item: item["priority"]):
        sources = [rule.get("sourceAddressPrefix"), *rule.get("sourceAddressPrefixes", [])]
        ports = [rule.get("destinationPortRange"), *rule.get("destinationPortRanges", [])]
        tcp = rule["protocol"].lower() in {"*", "tcp"}
        if (
            tcp
            and any(_covers(item, source) for item in sources if item)
            and any(_spans(item, port) for item in ports if item)
        ):
            return bool(rule["access"].lower() == "allow")
    return False


def _covers(prefix: str, source: str) -> bool:
    if prefix in {"*", "Internet", "0.0.0.0/0"}:
        return True
    try:
        return ipaddress.ip_address(source) in ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        return False


def _spans(ports: str, port: int) -> bool:
    if ports == "*":
        return True
    low, _, high = ports.partition("-")
    return int(low) <= port <= int(high or low)
