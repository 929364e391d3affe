"""ARM paths, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Target:
    """What a path points at: a resource (as many names as types), or a collection or action (one type more).

    Names are as written; compare them without case, as ARM does. `scope` is the path before the last `/providers/`.
    """

    path: str
    subscription: str
    group: str
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]
    scope: str

    @property
    def is_resource(self) -> bool:
        return len(self.types) == len(self.names)

    @property
    def kind(self) -> str:
        """Full type in lower case: `microsoft.compute/galleries/images`."""
        return "/".join((self.namespace, *self.types)).lower()

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else ""

    @property
    def parent_path(self) -> str:
        """Of a nested resource, collection or action: the path of what it belongs to."""
        return self.path.rsplit("/", 2 if self.is_resource else 1)[0]


def parse(path: str) -> Target:
    """Never fails: what is not understood has no namespace and no types."""
    parts = [unquote(part) for part in path.strip("/").split("/") if part]
    lower = [part.lower() for part in parts]
    subscription = parts[1] if len(parts) > 1 and lower[0] == "subscriptions" else ""
    group = parts[3] if len(parts) > 3 and subscription and lower[2] == "resourcegroups" else ""
    clean = "/" + "/".join(parts)
    if "providers" not in lower:
        start = 4 if group else 2
        rest = parts[start:]
        return Target(
            clean, subscription, group, "", tuple(rest[0::2]), tuple(rest[1::2]), "/" + "/".join(parts[:start])
        )
    at = len(lower) - 1 - lower[::-1].index("providers")
    rest = parts[at + 2 :]
    namespace = parts[at + 1] if at + 1 < len(parts) else ""
    return Target(
        clean, subscription, group, namespace, tuple(rest[0::2]), tuple(rest[1::2]), "/" + "/".join(parts[:at])
    )


def same(one: str, other: str) -> bool:
    """Resource ids are compared without case and without a trailing slash."""
    return one.strip("/").lower() == other.strip("/").lower()
