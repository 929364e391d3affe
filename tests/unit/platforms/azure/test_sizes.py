"""Which sizes are tried, and why others are not."""

from __future__ import annotations

from typing import Any

import pytest

from imagewright.core.errors import QuotaError
from imagewright.core.plan import ExactSource, Generation, OsType, PlatformImage
from imagewright.platforms.azure import sizes
from imagewright.platforms.azure.choices import AzureChoices

IMAGE = PlatformImage("p", "o", "s", "latest")


def source(
    generation: Generation = Generation.V2, architecture: str = "x64", security: str = "Standard"
) -> ExactSource:
    return ExactSource(IMAGE, "1", "id", OsType.LINUX, generation, architecture, "", 30 << 30, security)


def sku(name: str, *, restrictions: list[dict[str, Any]] | None = None, **capabilities: str) -> dict[str, Any]:
    facts = {
        "vCPUs": "2",
        "HyperVGenerations": "V1,V2",
        "CpuArchitectureType": "x64",
        "PremiumIO": "True",
    } | capabilities
    return {
        "resourceType": "virtualMachines", "name": name, "family": "fam", "restrictions": restrictions or [],
        "locationInfo": [{"location": "eastus", "zones": ["1", "2"]}],
        "capabilities": [{"name": key, "value": value} for key, value in facts.items()],
    }  # fmt: skip


def usage(name: str, limit: int, used: int) -> dict[str, Any]:
    return {"name": {"value": name, "localizedValue": name}, "limit": limit, "currentValue": used}


def test_aibs_defaults_by_generation() -> None:
    none = AzureChoices()
    assert sizes.wanted(source(Generation.V1), "", none)[0] == "Standard_D1_v2"
    assert sizes.wanted(source(Generation.V2), "", none)[0] == "Standard_D2ds_v4"
    assert sizes.wanted(source(architecture="arm64"), "", none)[0] == "Standard_D2ps_v5"


def test_a_named_size_is_replaced_by_named_ones_only() -> None:
    assert sizes.wanted(source(), "Standard_X", AzureChoices()) == ("Standard_X",)
    assert sizes.wanted(source(), "Standard_X", AzureChoices(fallback_sizes=("Y",))) == ("Standard_X", "Y")


def test_sizes_then_zones_in_order() -> None:
    closed = {"type": "Zone", "values": ["East US"], "restrictionInfo": {"zones": ["1"]}}
    found = sizes.candidates(
        ("A", "B"),
        source(),
        "eastus",
        [sku("A", restrictions=[closed]), sku("B")],
        [],
        AzureChoices(zones=("1", "2")),
    )
    assert [str(each) for each in found] == ["A in zone 2", "B in zone 1", "B in zone 2"]


def test_a_zone_that_the_size_is_not_in_is_not_tried() -> None:
    found = sizes.candidates(("A",), source(), "eastus", [sku("A")], [], AzureChoices(zones=("3", "2")))
    assert [str(each) for each in found] == ["A in zone 2"]
    with pytest.raises(QuotaError, match="not offered in zone 3"):
        sizes.candidates(("A",), source(), "eastus", [sku("A")], [], AzureChoices(zones=("3",)))


def test_a_size_without_ephemeral_disks_is_not_tried_for_one() -> None:
    choices = AzureChoices(ephemeral_os_disk=True)
    skus = [sku("A", EphemeralOSDiskSupported="False"), sku("B", EphemeralOSDiskSupported="True")]
    assert [each.size for each in sizes.candidates(("A", "B"), source(), "eastus", skus, [], choices)] == ["B"]


@pytest.mark.parametrize(
    ("what", "given", "reason"),
    [
        (source(Generation.V2), sku("A", HyperVGenerations="V1"), "does not boot generation V2"),
        (source(architecture="arm64"), sku("A"), "is not for arm64"),
        (source(security="TrustedLaunch"), sku("A", TrustedLaunchDisabled="True"), "no trusted launch"),
        (source(), sku("B"), "there is no A in eastus"),
    ],
)
def test_a_size_that_cannot_be_says_why(what: ExactSource, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(QuotaError, match=reason):
        sizes.candidates(("A",), what, "eastus", [given], [], AzureChoices())


def test_quota_is_by_region_family_and_priority() -> None:
    full = [usage("cores", 10, 9)]
    with pytest.raises(QuotaError, match="needs 2 cores") as caught:
        sizes.candidates(("A",), source(), "eastus", [sku("A")], full, AzureChoices())
    assert "quota" in caught.value.hint
    with pytest.raises(QuotaError):
        sizes.candidates(("A",), source(), "eastus", [sku("A")], [usage("FAM", 1, 0)], AzureChoices())
    spot = sizes.candidates(
        ("A",), source(), "eastus", [sku("A", LowPriorityCapable="True")], full, AzureChoices(spot=True)
    )
    assert len(spot) == 1
