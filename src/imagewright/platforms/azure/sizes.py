"""Which VM sizes a build may use: AIB's defaults, what to fall back on, and what the region has to say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.core.errors import QuotaError
from imagewright.core.plan import ExactSource, Generation
from imagewright.platforms.azure.arm import Json
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.sources import region

V1 = ("Standard_D1_v2", "Standard_DS2_v2", "Standard_D2s_v3", "Standard_D2s_v5")
V2 = ("Standard_D2ds_v4", "Standard_D2ds_v5", "Standard_D2s_v5", "Standard_D2as_v5", "Standard_D2s_v3")
ARM64 = ("Standard_D2ps_v5", "Standard_D2ps_v6", "Standard_D2pls_v5")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A size in a zone (`""`: none) that may be tried. `premium`: it takes premium disks; `scsi`: it has a controller
    for images that know no other."""

    size: str
    zone: str
    premium: bool
    scsi: bool = True

    def __str__(self) -> str:
        return f"{self.size} in zone {self.zone}" if self.zone else self.size


def wanted(source: ExactSource, vm_size: str, choices: AzureChoices) -> tuple[str, ...]:
    """The sizes to try, in order. One that the user named is not replaced by one that the user did not."""
    if vm_size:
        return (vm_size, *choices.fallback_sizes)
    if choices.fallback_sizes:
        return (_defaults(source)[0], *choices.fallback_sizes)
    return _defaults(source)


def possible(vm_size: str, choices: AzureChoices) -> frozenset[str]:
    """All that `wanted` could name, whatever the source is; in lower case."""
    return frozenset(name.lower() for name in (vm_size, *choices.fallback_sizes, *V1, *V2, *ARM64) if name)


def candidates(
    names: Sequence[str],
    source: ExactSource,
    location: str,
    skus: Sequence[Json],
    usages: Sequence[Json],
    choices: AzureChoices,
) -> tuple[Candidate, ...]:
    """Those of `names` that can be had, size by size, zone by zone. Raises QuotaError with the reasons if none can.

    `skus` and `usages` are what Microsoft.Compute lists for `location`.
    """
    known = {sku["name"].lower(): sku for sku in skus if sku.get("resourceType") == "virtualMachines"}
    found: list[Candidate] = []
    reasons: list[str] = []
    for name in names:
        sku = known.get(name.lower())
        reason = f"there is no {name} in {location}" if sku is None else _unfit(sku, source, choices)
        if sku is not None and not reason:
            reason = _restricted(sku, location) or _over_quota(sku, usages, choices)
        if sku is None or reason:
            reasons.append(reason)
            continue
        open_ = _zones(sku, location)
        premium, scsi = _can(sku, "PremiumIO"), "SCSI" in _capabilities(sku).get("DiskControllerTypes", "SCSI")
        zones = [zone for zone in choices.zones or ("",) if not zone or zone in open_]
        found += [Candidate(sku["name"], zone, premium, scsi) for zone in zones]
        if not zones:
            reasons.append(f"{name} is not offered in zone {', '.join(choices.zones)} of {location}")
    if not found:
        quota = any("quota" in reason for reason in reasons)
        raise QuotaError(
            f"no VM size can be had: {'; '.join(reasons)}",
            hint="ask for more quota in the portal (Usage + quotas), or choose another size or region"
            if quota
            else "choose another size (vmSize, --fallback-size), zone or region; "
            f"az vm list-skus -l {location} --all -o table",
        )
    return tuple(found)


def _defaults(source: ExactSource) -> tuple[str, ...]:
    if source.architecture == "arm64":
        return ARM64
    return V2 if source.generation is Generation.V2 else V1


def _unfit(sku: Json, source: ExactSource, choices: AzureChoices) -> str:
    name, facts = sku["name"], _capabilities(sku)
    if source.generation.value not in facts.get("HyperVGenerations", "V1").split(","):
        return f"{name} does not boot generation {source.generation.value} images"
    if facts.get("CpuArchitectureType", "x64").lower() != source.architecture:
        return f"{name} is not for {source.architecture}"
    if source.security_type == "TrustedLaunch" and _can(sku, "TrustedLaunchDisabled"):
        return f"{name} has no trusted launch, which the source demands"
    if choices.ephemeral_os_disk and not _can(sku, "EphemeralOSDiskSupported"):
        return f"{name} has no ephemeral OS disks"
    if choices.spot and not _can(sku, "LowPriorityCapable"):
        return f"{name} is not to be had as spot"
    return ""


def _restricted(sku: Json, location: str) -> str:
    for one in sku.get("restrictions") or []:
        if one["type"] == "Location" and region(location) in map(region, one.get("values") or []):
            why = (
                "this subscription may not use it" if "Subscription" in str(one.get("reasonCode")) else "not offered"
            )
            return f"{sku['name']} is restricted in {location} ({why})"
    return ""


def _zones(sku: Json, location: str) -> set[str]:
    """Where it is offered, and not closed to this subscription."""
    offered: set[str] = set()
    for place in sku.get("locationInfo") or []:
        if region(place["location"]) == region(location):
            offered |= set(place.get("zones") or [])
    closed: set[str] = set()
    for one in sku.get("restrictions") or []:
        if one["type"] == "Zone" and region(location) in map(region, one.get("values") or []):
            closed |= set((one.get("restrictionInfo") or {}).get("zones") or [])
    return offered - closed


def _over_quota(sku: Json, usages: Sequence[Json], choices: AzureChoices) -> str:
    cores = int(_capabilities(sku).get("vCPUs", "1"))
    families = ("lowPriorityCores",) if choices.spot else ("cores", sku.get("family", ""))
    for usage in usages:
        name = usage["name"]["value"]
        if name.lower() in [family.lower() for family in families]:
            left = usage["limit"] - usage["currentValue"]
            if cores > left:
                shown = usage["name"].get("localizedValue", name)
                return (
                    f"{sku['name']} needs {cores} cores and the quota of {shown} has {left} of {usage['limit']} left"
                )
    return ""


def _capabilities(sku: Json) -> dict[str, str]:
    return {each["name"]: str(each["value"]) for each in sku.get("capabilities") or []}


def _can(sku: Json, capability: str) -> bool:
    return _capabilities(sku).get(capability, "False").lower() == "true"
