"""The target that each distributor means, and the slips it refuses by itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from imagewright.core.origin import Origin
from imagewright.core.plan import (
    ExplicitVersion,
    LatestVersioning,
    ManagedImageTarget,
    SharedImageTarget,
    SourceVersioning,
    Target,
    TargetRegion,
    VhdTarget,
)
from imagewright.distributors import Distributor

ADAPTER: TypeAdapter[Any] = TypeAdapter(Distributor)
COMPUTE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"
IMAGE = f"{COMPUTE}/images/i"
GALLERY = f"{COMPUTE}/galleries/g/images/d"
SHARED = {"type": "SharedImage", "runOutputName": "r", "galleryImageId": GALLERY}


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"type": "VHD", "runOutputName": "r"}, VhdTarget("r")),
        (
            {"type": "VHD", "runOutputName": "r", "uri": "https://a/c/b.vhd", "artifactTags": {"a": "b"}},
            VhdTarget("r", "https://a/c/b.vhd", (("a", "b"),)),
        ),
        (
            {"type": "ManagedImage", "runOutputName": "r", "imageId": IMAGE, "location": "west"},
            ManagedImageTarget("r", IMAGE, "west"),
        ),
        (SHARED, SharedImageTarget("r", GALLERY, LatestVersioning())),
        (
            SHARED | {"versioning": {"scheme": "Latest", "major": 3}},
            SharedImageTarget("r", GALLERY, LatestVersioning(3)),
        ),
        (SHARED | {"versioning": {"scheme": "Source"}}, SharedImageTarget("r", GALLERY, SourceVersioning())),
        (
            SHARED | {"galleryImageId": f"{GALLERY}/versions/1.2.3"},
            SharedImageTarget("r", GALLERY, ExplicitVersion("1.2.3")),
        ),
        (
            SHARED
            | {"replicationRegions": ("a", "b"), "storageAccountType": "Standard_ZRS", "excludeFromLatest": True},
            SharedImageTarget(
                "r",
                GALLERY,
                LatestVersioning(),
                (TargetRegion("a", 1, "Standard_ZRS"), TargetRegion("b", 1, "Standard_ZRS")),
                exclude_from_latest=True,
            ),
        ),
        (
            SHARED | {"targetRegions": ({"name": "a", "replicaCount": 2},), "replicationMode": "Shallow"},
            SharedImageTarget("r", GALLERY, LatestVersioning(), (TargetRegion("a", 2),), replication_mode="Shallow"),
        ),
    ],
)
def test_targets(body: dict[str, Any], target: Target) -> None:
    origin = Origin("t.json", 3, 4)
    found = ADAPTER.validate_python(body).target(origin)

    assert found == target
    assert found.origin == origin


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            SHARED | {"targetRegions": ({"name": "a"},), "replicationRegions": ("a",)},
            "target-xor-replication-regions",
        ),
        (
            SHARED | {"targetRegions": ({"name": "a"},), "storageAccountType": "Standard_LRS"},
            "target-regions-storage-account-type",
        ),
        (
            SHARED | {"galleryImageId": f"{GALLERY}/versions/1.0.0", "versioning": {"scheme": "Source"}},
            "explicit-version-and-versioning",
        ),
        (SHARED | {"galleryImageId": f"{GALLERY}/versions/latest"}, "bad-image-version"),
        (SHARED | {"galleryImageId": IMAGE}, "bad-resource-id"),
        (SHARED | {"versioning": {"scheme": "Latest", "major": -2}}, "greater_than_equal"),
        (SHARED | {"runOutputName": "a b"}, "string_pattern_mismatch"),
        (SHARED | {"runOutputName": "a" * 65}, "string_pattern_mismatch"),
        ({"type": "VHD", "runOutputName": "r", "uri": "x"}, "bad-vhd-uri"),
        ({"type": "ManagedImage", "runOutputName": "r", "imageId": IMAGE}, "missing"),
    ],
)
def test_slips(body: dict[str, Any], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(body)
    assert [found["type"] for found in caught.value.errors()] == [kind]
