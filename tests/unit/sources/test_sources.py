"""What each source means, and which operating system it gives away."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from imagewright.core import plan
from imagewright.core.plan import OsType
from imagewright.sources import Source

ADAPTER: TypeAdapter[Any] = TypeAdapter(Source)
COMPUTE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"
IMAGE = f"{COMPUTE}/images/i"
VERSION = f"{COMPUTE}/galleries/g/images/d/versions"


def platform_image(publisher: str, offer: str, sku: str = "s") -> dict[str, Any]:
    return {"type": "PlatformImage", "publisher": publisher, "offer": offer, "sku": sku, "version": "latest"}


def test_sources_of_a_plan() -> None:
    info = {"planName": "n", "planProduct": "p", "planPublisher": "b"}
    bought = ADAPTER.validate_python(platform_image("a", "b") | {"planInfo": info}).source()

    assert bought == plan.PlatformImage("a", "b", "s", "latest", plan.PurchasePlan("n", "p", "b"))
    assert ADAPTER.validate_python({"type": "ManagedImage", "imageId": IMAGE}).source() == plan.ManagedImage(IMAGE)
    shared = ADAPTER.validate_python({"type": "SharedImageVersion", "imageVersionId": f"{VERSION}/latest"})
    assert shared.source() == plan.SharedImageVersion(f"{VERSION}/latest")
    assert shared.os_type() is None


def test_a_gallery_may_be_shared_directly() -> None:
    version = "/sharedGalleries/1a2b-gallery/images/web/versions/1.0.0"
    source = ADAPTER.validate_python({"type": "SharedImageVersion", "imageVersionId": version}).source()
    assert source == plan.SharedImageVersion(version)


@pytest.mark.parametrize(
    ("publisher", "offer", "sku", "os_type"),
    [
        ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", OsType.LINUX),
        ("Debian", "debian-12", "12-gen2", OsType.LINUX),
        ("RedHat", "RHEL", "9", OsType.LINUX),
        ("MicrosoftWindowsServer", "WindowsServer", "2022-datacenter", OsType.WINDOWS),
        ("MicrosoftWindowsDesktop", "office-365", "win11-23h2-avd-m365", OsType.WINDOWS),
        ("MicrosoftSQLServer", "sql2019-ubuntu2004", "enterprise", OsType.LINUX),
        ("MicrosoftSQLServer", "sql2022-ws2022", "enterprise", OsType.WINDOWS),
        ("center-for-internet-security-inc", "cis-windows-server-2022", "x", OsType.WINDOWS),
        ("center-for-internet-security-inc", "cis-ubuntu-linux-2204", "x", OsType.LINUX),
        ("somebody", "appliance", "1", None),
    ],
)
def test_the_operating_system(publisher: str, offer: str, sku: str, os_type: OsType | None) -> None:
    assert ADAPTER.validate_python(platform_image(publisher, offer, sku)).os_type() is os_type


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "ManagedImage", "imageId": "i"}, "bad-resource-id"),
        ({"type": "ManagedImage", "imageId": f"{VERSION}/1.0.0"}, "bad-resource-id"),
        ({"type": "SharedImageVersion", "imageVersionId": VERSION.removesuffix("/versions")}, "bad-resource-id"),
        ({"type": "SharedImageVersion", "imageVersionId": f"{VERSION}/newest"}, "bad-image-version"),
        (
            {"type": "SharedImageVersion", "imageVersionId": "/sharedGalleries/g/images/w/versions/newest"},
            "bad-image-version",
        ),
        ({"type": "PlatformImage", "publisher": "a", "offer": "b", "sku": "c"}, "missing"),
    ],
)
def test_slips(body: dict[str, Any], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(body)
    assert [found["type"] for found in caught.value.errors()] == [kind]
