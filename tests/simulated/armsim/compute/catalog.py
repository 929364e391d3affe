"""Marketplace images of the platform: publishers, offers, SKUs, versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from armsim import problems
from armsim.exchange import Answer, Call


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """One version of one SKU. `plan`: marketplace images whose terms must be accepted."""

    publisher: str
    offer: str
    sku: str
    version: str
    os: str = "Linux"
    generation: str = "V2"
    architecture: str = "x64"
    size: int = 30
    plan: bool = False
    security: str = "TrustedLaunchSupported"

    @property
    def urn(self) -> str:
        return f"{self.publisher}:{self.offer}:{self.sku}:{self.version}"

    @property
    def plan_key(self) -> str:
        return f"{self.publisher}:{self.offer}:{self.sku}".lower()


IMAGES = [
    *(
        PlatformImage("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", version)
        for version in ("22.04.202501010", "22.04.202502010", "22.04.202511130")
    ),
    PlatformImage(
        "Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts", "22.04.202511130", generation="V1", security=""
    ),
    PlatformImage(
        "Canonical",
        "0001-com-ubuntu-server-jammy",
        "22_04-lts-arm64",
        "22.04.202511130",
        architecture="Arm64",
        security="",
    ),
    *(
        PlatformImage("Canonical", "ubuntu-24_04-lts", "server", version)
        for version in ("24.04.202510010", "24.04.202511110")
    ),
    PlatformImage("Canonical", "ubuntu-24_04-lts", "server-gen1", "24.04.202511110", generation="V1", security=""),
    PlatformImage("Canonical", "UbuntuServer", "18.04-LTS", "18.04.202401161", generation="V1", security=""),
    PlatformImage("Debian", "debian-12", "12-gen2", "0.20251103.2285"),
    PlatformImage("Debian", "debian-12", "12", "0.20251103.2285", generation="V1", security=""),
    PlatformImage("RedHat", "RHEL", "9-lvm-gen2", "9.5.2025101517", size=64),
    PlatformImage("kinvolk", "flatcar-container-linux-free", "stable-gen2", "4230.2.4", plan=True),
    PlatformImage(
        "MicrosoftWindowsServer", "WindowsServer", "2022-datacenter-g2", "20348.4294.251103", "Windows", size=127
    ),
    PlatformImage(
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2019-Datacenter",
        "17763.7919.251103",
        "Windows",
        "V1",
        size=127,
        security="",
    ),
]


def _order(image: PlatformImage) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in image.version.split("."))


class Catalog:
    """What the marketplace offers, in every region."""

    def __init__(self) -> None:
        self.images = list(IMAGES)

    def find(self, publisher: str, offer: str, sku: str, version: str) -> PlatformImage:
        """`latest` is the highest. Raises PlatformImageNotFound."""
        found = self._sku(publisher, offer, sku)
        if version.lower() != "latest":
            found = [image for image in found if image.version == version]
        if not found:
            raise problems.platform_image_not_found(f"{publisher}:{offer}:{sku}:{version}")
        return max(found, key=_order)

    def _sku(self, publisher: str, offer: str, sku: str) -> list[PlatformImage]:
        wanted = (publisher.lower(), offer.lower(), sku.lower())
        return [
            image
            for image in self.images
            if (image.publisher.lower(), image.offer.lower(), image.sku.lower()) == wanted
        ]

    def versions(self, publisher: str, offer: str, sku: str) -> list[PlatformImage]:
        return sorted(self._sku(publisher, offer, sku), key=_order)


_LEVELS = ["locations", "publishers", "artifacttypes", "offers", "skus", "versions"]


def handle(call: Call) -> Answer | None:
    """`…/Microsoft.Compute/locations/{l}/publishers[/{p}/artifacttypes/vmimage/offers[/{o}/skus[/{s}/versions[/{v}]]]]`."""
    target = call.target
    types = [part.lower() for part in target.types]
    if target.namespace.lower() != "microsoft.compute" or types[:2] != _LEVELS[:2] or call.method != "GET":
        return None
    if types != _LEVELS[: len(types)]:
        raise problems.not_found("No such path.")
    root = f"/Subscriptions/{target.subscription}/Providers/Microsoft.Compute/Locations/{target.names[0]}"
    names = target.names[1:]
    images = call.cloud.catalog.images
    if len(types) == 2 and not names:
        found = sorted({image.publisher for image in images})
        return Answer(200, [_row(f"{root}/Publishers/{name}", name, target.names[0]) for name in found])
    images = [image for image in images if image.publisher.lower() == names[0].lower()]
    if not images:
        raise problems.not_found(f"Publisher: {names[0]} was not found.")
    root += f"/Publishers/{images[0].publisher}/ArtifactTypes/VMImage"
    if len(types) == 4 and len(names) == 2:
        return Answer(
            200,
            [
                _row(f"{root}/Offers/{name}", name, target.names[0])
                for name in sorted({image.offer for image in images})
            ],
        )
    images = [image for image in images if image.offer.lower() == names[2].lower()]
    if not images:
        raise problems.not_found(f"Offer: {names[2]} was not found.")
    root += f"/Offers/{images[0].offer}"
    if len(types) == 5 and len(names) == 3:
        return Answer(
            200,
            [_row(f"{root}/Skus/{name}", name, target.names[0]) for name in sorted({image.sku for image in images})],
        )
    found_versions = call.cloud.catalog.versions(names[0], names[2], names[3])
    if not found_versions:
        raise problems.not_found(f"Sku: {names[3]} was not found.")
    root += f"/Skus/{found_versions[0].sku}"
    if len(types) == 6 and len(names) == 4:
        return Answer(200, _versions(call, root, found_versions))
    if len(types) == 6:
        return _version(call, root, names[4])
    return None


def _versions(call: Call, root: str, found: list[PlatformImage]) -> list[dict[str, Any]]:
    if "desc" in call.query.get("$orderby", ""):
        found.reverse()
    if "$top" in call.query:
        found = found[: int(call.query["$top"])]
    return [_row(f"{root}/Versions/{image.version}", image.version, call.target.names[0]) for image in found]


def _version(call: Call, root: str, version: str) -> Answer:
    """A version; `latest` works here too."""
    names = call.target.names[1:]
    images = call.cloud.catalog.versions(names[0], names[2], names[3])
    wanted = [image for image in images if image.version == version or version.lower() == "latest"]
    if not wanted:
        raise problems.not_found("Artifact: VMImage was not found.")
    image = wanted[-1]
    features = [
        {"name": "IsAcceleratedNetworkSupported", "value": "True"},
        {"name": "DiskControllerTypes", "value": "SCSI, NVMe"},
        {"name": "IsHibernateSupported", "value": "True"},
    ]
    if image.security:
        features.insert(0, {"name": "SecurityType", "value": image.security})
    properties: dict[str, Any] = {
        "osDiskImage": {"operatingSystem": image.os, "sizeInGb": image.size, "sizeInBytes": (image.size << 30) + 512},
        "dataDiskImages": [],
        "automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": False},
        "hyperVGeneration": image.generation,
        "architecture": image.architecture,
        "features": features,
        "disallowed": {"vmDiskType": "None"},
        "imageDeprecationStatus": {"imageState": "Active"},
    }
    if image.plan:
        properties["plan"] = {"publisher": image.publisher, "name": image.sku, "product": image.offer}
    return Answer(
        200,
        {"properties": properties} | _row(f"{root}/Versions/{image.version}", image.version, call.target.names[0]),
    )


def _row(identifier: str, name: str, location: str) -> dict[str, Any]:
    return {"location": location, "name": name, "id": identifier}
