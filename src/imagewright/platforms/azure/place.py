"""Where the things of one build are put: a resource group, a region, and the tags that all of them carry."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.resource_id import ResourceId


@dataclass(frozen=True, slots=True)
class Place:
    """`ours`: the group was made for this build and goes with it; otherwise its own things go, the group stays."""

    subscription: str
    group: str
    location: str
    tags: tuple[tuple[str, str], ...]
    ours: bool = True

    @property
    def id(self) -> str:
        return str(ResourceId(self.subscription, self.group, "", ()))

    def resource(self, type: str, *names: str) -> str:  # noqa: A002 - ARM's own word
        """The id of a resource in the group: `resource("Microsoft.Compute/disks", "name")`."""
        return str(ResourceId(self.subscription, self.group, type, names))

    def body(self, properties: dict[str, object], **more: object) -> dict[str, object]:
        """The body of a resource here."""
        return {"location": self.location, "tags": dict(self.tags), "properties": properties, **more}
