"""What the caller may do: role actions with wildcards, checked for every request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from armsim.targets import Target


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@dataclass
class Roles:
    """As in a role definition; the default is Owner together with Storage Blob Data Contributor."""

    actions: list[str] = field(default_factory=lambda: ["*"])
    not_actions: list[str] = field(default_factory=list)
    data_actions: list[str] = field(
        default_factory=lambda: [
            f"{BLOBS}/{each}" for each in ("read", "write", "delete", "move/action", "add/action")
        ]
    )

    def allow(self, action: str) -> bool:
        granted = any(_matches(pattern, action) for pattern in self.actions)
        return granted and not any(_matches(pattern, action) for pattern in self.not_actions)

    def allow_data(self, action: str) -> bool:
        return any(_matches(pattern, action) for pattern in self.data_actions)

    def permissions(self) -> list[dict[str, list[str]]]:
        return [
            {
                "actions": list(self.actions),
                "notActions": list(self.not_actions),
                "dataActions": list(self.data_actions),
                "notDataActions": [],
            }
        ]


def action_of(method: str, target: Target) -> str:
    """`PUT …/Microsoft.Compute/disks/x` is `Microsoft.Compute/disks/write`."""
    if not target.namespace and target.types[:1] == ("operationresults",):
        kind = "Microsoft.Resources/subscriptions/operationresults"
    elif target.namespace and not target.types:
        kind = "Microsoft.Resources/subscriptions/providers"
    elif target.namespace:
        kind = "/".join((target.namespace, *target.types))
    else:
        kind = "Microsoft.Resources/subscriptions" + (
            "/resourceGroups" if "/resourcegroups" in target.path.lower() else ""
        )
    if method == "POST":
        return f"{kind}/action"
    return f"{kind}/{ {'GET': 'read', 'HEAD': 'read', 'PUT': 'write', 'PATCH': 'write', 'DELETE': 'delete'}[method] }"
