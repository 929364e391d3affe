"""What exists: resources by id, in one dictionary, behind one lock."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from armsim.identifiers import etag, now
from armsim.targets import same

GROUP_KIND = "Microsoft.Resources/resourceGroups"

LOCATIONS = {
    "eastus": "East US", "eastus2": "East US 2", "westus": "West US", "westus2": "West US 2", "westus3": "West US 3",
    "centralus": "Central US", "southcentralus": "South Central US", "northeurope": "North Europe",
    "westeurope": "West Europe", "uksouth": "UK South", "germanywestcentral": "Germany West Central",
    "swedencentral": "Sweden Central", "southeastasia": "Southeast Asia", "japaneast": "Japan East",
}  # fmt: skip


def location_name(text: str) -> str:
    """`East US 2` and `eastus2` are the same place."""
    return text.replace(" ", "").lower()


@dataclass
class Resource:
    """One resource. `body` is what GET answers, without id, name and type; `state` hangs real parts on it."""

    id: str
    kind: str
    name: str
    body: dict[str, Any]
    state: dict[str, Any] = field(default_factory=dict)
    created: datetime = field(default_factory=now)
    etag: str = field(default_factory=etag)

    @property
    def properties(self) -> dict[str, Any]:
        inner: dict[str, Any] = self.body.setdefault("properties", {})
        return inner

    @property
    def location(self) -> str:
        return location_name(str(self.body.get("location", "")))

    @property
    def group(self) -> str:
        return self.id.split("/")[4]

    @property
    def ready(self) -> bool:
        return self.properties.get("provisioningState") == "Succeeded"

    def shown(self) -> dict[str, Any]:
        return {"name": self.name, "id": self.id, "type": self.kind} | copy.deepcopy(self.body)


class World:
    """The subscription's contents. Whoever reads or writes holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._resources: dict[str, Resource] = {}

    def add(self, resource: Resource) -> Resource:
        self._resources[resource.id.lower()] = resource
        return resource

    def get(self, identifier: str) -> Resource | None:
        return self._resources.get("/" + identifier.strip("/").lower())

    def remove(self, identifier: str) -> None:
        """A resource and everything nested in it."""
        start = "/" + identifier.strip("/").lower()
        for key in [key for key in self._resources if key == start or key.startswith(start + "/")]:
            del self._resources[key]

    def all(self, kind: str | None = None) -> Iterator[Resource]:
        for resource in list(self._resources.values()):
            if kind is None or resource.kind.lower() == kind.lower():
                yield resource

    def inside(self, scope: str, kind: str | None = None) -> list[Resource]:
        """What lies below a group or a parent, not the scope itself."""
        start = "/" + scope.strip("/").lower() + "/"
        return [item for item in self.all(kind) if item.id.lower().startswith(start)]

    def group(self, subscription: str, name: str) -> Resource | None:
        return self.get(f"/subscriptions/{subscription}/resourceGroups/{name}")

    def users_of(self, identifier: str, kind: str) -> list[Resource]:
        """Resources of a kind whose body points at `identifier`."""
        return [item for item in self.all(kind) if any(same(found, identifier) for found in references(item.body))]


def references(value: Any) -> Iterator[str]:
    """Every resource id written as an `id` (or `…Id`) in a body."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and (key == "id" or key.endswith("Id")) and "/providers/" in inner:
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
