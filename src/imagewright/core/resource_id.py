"""ARM resource ids: `/subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME[/TYPE/NAME]...`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A parsed id. `type` is `Namespace/type[/type]`, empty for the id of a resource group."""

    subscription: str
    resource_group: str
    type: str
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else self.resource_group

    def is_a(self, resource_type: str) -> bool:
        """ARM compares types without regard to case."""
        return self.type.lower() == resource_type.lower()

    def up(self) -> ResourceId:
        """The id of the resource that contains this one."""
        return ResourceId(self.subscription, self.resource_group, self.type.rpartition("/")[0], self.names[:-1])

    def same_as(self, other: ResourceId) -> bool:
        return str(self).lower() == str(other).lower()

    def __str__(self) -> str:
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
        if not self.type:
            return group
        namespace, *kinds = self.type.split("/")
        tail = "".join(f"/{kind}/{name}" for kind, name in zip(kinds, self.names, strict=True))
        return f"{group}/providers/{namespace}{tail}"


def parse_resource_id(text: str) -> ResourceId | None:
    """The id in `text`, or None if it does not have the shape of one."""
    parts = text.split("/")
    if len(parts) < 5 or parts[0] or "" in parts[1:] or any(part != part.strip() for part in parts):
        return None
    _, subscriptions, subscription, groups, group, *rest = parts
    if subscriptions.lower() != "subscriptions" or groups.lower() != "resourcegroups":
        return None
    if not rest:
        return ResourceId(subscription, group, "", ())
    if rest[0].lower() != "providers" or len(rest) < 4 or len(rest) % 2:
        return None
    return ResourceId(subscription, group, "/".join([rest[1], *rest[2::2]]), tuple(rest[3::2]))
