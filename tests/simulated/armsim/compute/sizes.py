"""VM sizes: their capabilities, where they are restricted, what quota they use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from armsim import problems
from armsim.cloud import Cloud
from armsim.exchange import Answer, Call
from armsim.problems import ArmError
from armsim.world import LOCATIONS, Resource

VM = "Microsoft.Compute/virtualMachines"


@dataclass(frozen=True, slots=True)
class Size:
    """One row of the SKU table. `cache`: GiB usable for an ephemeral OS disk (0: none)."""

    name: str
    family: str
    cores: int
    memory: float
    generations: str = "V1,V2"
    architecture: str = "x64"
    premium: bool = True
    cache: int = 0
    trusted: bool = True
    spot: bool = True
    controllers: str = "SCSI"


SIZES = {
    size.name.lower(): size
    for size in (
        Size("Standard_A1", "standardA0_A7Family", 1, 1.75, "V1", premium=False, trusted=False, spot=False),
        Size("Standard_A1_v2", "standardAv2Family", 1, 2, "V1", premium=False, trusted=False),
        Size("Standard_D1_v2", "standardDv2Family", 1, 3.5, "V1", premium=False, trusted=False),
        Size("Standard_D2_v2", "standardDv2Family", 2, 7, "V1", premium=False, trusted=False),
        Size("Standard_DS2_v2", "standardDSv2Family", 2, 7, cache=86),
        Size("Standard_B1s", "standardBSFamily", 1, 1, spot=False),
        Size("Standard_B2s", "standardBSFamily", 2, 4, spot=False),
        Size("Standard_D2s_v3", "standardDSv3Family", 2, 8, cache=50),
        Size("Standard_D2ds_v4", "standardDDSv4Family", 2, 8, cache=50),
        Size("Standard_D4ds_v4", "standardDDSv4Family", 4, 16, cache=100),
        Size("Standard_D2s_v5", "standardDSv5Family", 2, 8),
        Size("Standard_D4s_v5", "standardDSv5Family", 4, 16),
        Size("Standard_D8s_v5", "standardDSv5Family", 8, 32),
        Size("Standard_D2as_v5", "standardDASv5Family", 2, 8),
        Size("Standard_D4as_v5", "standardDASv5Family", 4, 16),
        Size("Standard_D2ds_v5", "standardDDSv5Family", 2, 8, cache=75),
        Size("Standard_D2s_v6", "standardDSv6Family", 2, 8, "V2", controllers="NVMe"),
        Size("Standard_D2ps_v5", "standardDPSv5Family", 2, 8, "V2", "Arm64", trusted=False),
        Size("Standard_DC2as_v5", "standardDCASv5Family", 2, 8, "V2"),
        Size("Standard_E2s_v5", "standardESv5Family", 2, 16),
        Size("Standard_F2s_v2", "standardFSv2Family", 2, 4, cache=32),
        Size("Standard_F8s_v2", "standardFSv2Family", 8, 16, cache=128),
    )
}


@dataclass
class Sizes:
    """Restrictions and quotas of one simulator. `restricted` and `full`: (size, location) to zones, empty for all."""

    limits: dict[str, int] = field(default_factory=lambda: {"cores": 100})
    restricted: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    full: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def restrict(self, size: str, location: str, *zones: str) -> None:
        """The subscription may not use the size there: it is in the SKU list, and a VM PUT is refused."""
        self.restricted[size.lower(), location] = set(zones)

    def fill(self, size: str, location: str, *zones: str) -> None:
        """There is no capacity at the moment: nothing says so until a VM's creation fails."""
        self.full[size.lower(), location] = set(zones)

    def limit(self, name: str) -> int:
        return self.limits.get(name, 100)


def used(cloud: Cloud, family: str | None = None) -> int:
    """Cores of the machines that hold some: one that is deallocated, or spot, holds none."""
    total = 0
    for machine in cloud.world.all(VM):
        size = SIZES.get(machine.properties["hardwareProfile"]["vmSize"].lower())
        holds = machine.state.get("power") != "deallocated" and not _is_spot(machine.properties)
        if size is not None and holds and family in (None, size.family):
            total += size.cores
    return total


def used_by_spot(cloud: Cloud) -> int:
    """Cores of spot machines: deallocated ones count as well."""
    machines = [machine for machine in cloud.world.all(VM) if _is_spot(machine.properties)]
    return sum(SIZES[machine.properties["hardwareProfile"]["vmSize"].lower()].cores for machine in machines)


def _is_spot(properties: dict[str, Any]) -> bool:
    return str(properties.get("priority")).lower() == "spot"


def admit(call: Call, name: str, zones: list[str]) -> Size:
    """The size of a VM to be created; raises what Azure answers when it cannot be had."""
    cloud, location = call.cloud, call.body["location"].replace(" ", "").lower()
    size = SIZES.get(name.lower())
    if size is None:
        raise problems.invalid_parameter(
            f"The value {name} provided for the VM size is not valid. The valid sizes in the current region are: "
            f"{', '.join(item.name for item in SIZES.values())}. Find out more on "
            "the valid VM sizes in each region at "
            "https://aka.ms/azure-regions.",
            "vmSize",
        )
    if _strikes(cloud.sizes.restricted, size, location, zones):
        raise problems.sku_not_available(size.name, location)
    quotas = [
        ("Total Regional", cloud.sizes.limit("cores"), used(cloud)),
        (size.family, cloud.sizes.limit(size.family), used(cloud, size.family)),
    ]
    if _is_spot(call.body.get("properties") or {}):
        quotas = [("LowPriority", cloud.sizes.limit("lowPriorityCores"), used_by_spot(cloud))]
    for what, limit, usage in quotas:
        if usage + size.cores > limit:
            raise problems.quota_exceeded(what, location, limit, usage, size.cores)
    return size


def capacity(cloud: Cloud, size: Size, location: str, zones: list[str]) -> ArmError | None:
    """What the operation ends with when the region has none left."""
    if not _strikes(cloud.sizes.full, size, location, zones):
        return None
    if zones:
        return ArmError(
            200,
            "ZonalAllocationFailed",
            "Allocation failed. We do not have sufficient capacity for the "
            "requested VM size in this "
            "zone. Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance",
        )
    return problems.allocation_failed()


def _strikes(table: dict[tuple[str, str], set[str]], size: Size, location: str, zones: list[str]) -> bool:
    hit = table.get((size.name.lower(), location))
    return hit is not None and (not hit or (bool(zones) and set(zones) <= hit))


def handle(call: Call) -> Answer | None:
    """`…/Microsoft.Compute/skus` and `…/locations/{location}/usages`, `…/vmSizes`."""
    if call.target.kind == "microsoft.storage/checknameavailability" and call.method == "POST":
        from armsim.storage import check_name

        return check_name(call)
    if call.method != "GET":
        return None
    if call.target.kind == "microsoft.compute/skus":
        return Answer(200, {"value": _skus(call)})
    if call.target.kind == "microsoft.compute/locations/usages":
        return Answer(200, {"value": _usages(call.cloud)})
    return None


def _usages(cloud: Cloud) -> list[dict[str, Any]]:
    def row(name: str, text: str, value: int) -> dict[str, Any]:
        return {
            "limit": cloud.sizes.limit(name),
            "unit": "Count",
            "currentValue": value,
            "name": {"value": name, "localizedValue": text},
        }

    families = sorted({size.family for size in SIZES.values()})
    machines = len(list(cloud.world.all(VM)))
    return [
        row("availabilitySets", "Availability Sets", 0),
        row("cores", "Total Regional vCPUs", used(cloud)),
        row("virtualMachines", "Virtual Machines", machines),
        row("lowPriorityCores", "Total Regional Low-priority vCPUs", used_by_spot(cloud)),
        *(row(family, f"{family} vCPUs", used(cloud, family)) for family in families),
    ]


def _skus(call: Call) -> list[dict[str, Any]]:
    wanted = call.query.get("$filter", "").partition("eq")[2].strip().strip("'")
    locations = [wanted] if wanted in LOCATIONS else list(LOCATIONS)
    return [_sku(call.cloud, size, location) for location in locations for size in SIZES.values()]


def _sku(cloud: Cloud, size: Size, location: str) -> dict[str, Any]:
    capabilities = {
        "vCPUs": str(size.cores),
        "vCPUsAvailable": str(size.cores),
        "MemoryGB": f"{size.memory:g}",
        "HyperVGenerations": size.generations,
        "CpuArchitectureType": size.architecture,
        "PremiumIO": str(size.premium),
        "LowPriorityCapable": str(size.spot),
        "EphemeralOSDiskSupported": str(size.cache > 0),
        "AcceleratedNetworkingEnabled": "True",
        "MaxDataDiskCount": "4",
        "EncryptionAtHostSupported": "True",
        "CachedDiskBytes": str(size.cache << 30),
        "DiskControllerTypes": size.controllers,
    }
    if not size.trusted:
        capabilities["TrustedLaunchDisabled"] = "True"
    restrictions = []
    zones = cloud.sizes.restricted.get((size.name.lower(), location))
    if zones is not None:
        restrictions.append(
            {
                "type": "Zone" if zones else "Location",
                "values": [location],
                "reasonCode": "NotAvailableForSubscription",
                "restrictionInfo": {"locations": [location]} | ({"zones": sorted(zones)} if zones else {}),
            }
        )
    return {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": "Standard",
        "size": size.name.removeprefix("Standard_"),
        "family": size.family,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": ["1", "2", "3"], "zoneDetails": []}],
        "capabilities": [{"name": name, "value": value} for name, value in capabilities.items()],
        "restrictions": restrictions,
    }


def is_running(machine: Resource) -> bool:
    return machine.state.get("power") == "running"
