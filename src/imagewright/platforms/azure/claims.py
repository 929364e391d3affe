"""Names that builds share: the number of a version, an image's name, a checkpoint's, the account that VHDs lie in.

Whoever is first gets one. So what is made under it carries the tag of its build, the record in the ledger carries the
build too, and what stands there is deleted only where both are the same.
"""

from __future__ import annotations

from imagewright.core.clock import Deadline
from imagewright.core.ownership import Owned
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.platforms.azure import names
from imagewright.platforms.azure.arm import Arm, Call, Json

CLAIM = "claim"


def claim(resource: str, build: str) -> Owned:
    return Owned("azure", CLAIM, resource, build)


def tags(build: str, others: Json) -> Json:
    """`others` and the tag of the build."""
    return others | {names.MADE_BY: build}


def maker(arm: Arm, resource: str, deadline: Deadline) -> str | None:
    """The build that made what is there (`""`: none), or None where nothing is there."""
    found = parse_resource_id(resource)
    call = _get(found) if found else None
    if found is None or call is None:
        return None
    row = arm.at(found.subscription).find(f"looking up {found.name}", deadline, call)
    return None if row is None else str((row.get("tags") or {}).get(names.MADE_BY) or "")


def is_ours(arm: Arm, owned: Owned, deadline: Deadline) -> bool:
    """Whether what is there was made by the build that the record names."""
    return bool(owned.detail) and maker(arm, owned.id, deadline) == owned.detail


def _get(found: ResourceId) -> Call | None:
    group, held = found.resource_group, found.names
    calls: dict[str, Call] = {
        "microsoft.compute/snapshots": lambda c, k: c.compute.snapshots.get(group, *held, **k),
        "microsoft.compute/images": lambda c, k: c.compute.images.get(group, *held, **k),
        "microsoft.compute/galleries/images/versions": lambda c, k: c.compute.gallery_image_versions.get(
            group, *held, **k
        ),
        "microsoft.storage/storageaccounts": lambda c, k: c.storage.storage_accounts.get_properties(
            group, *held, **k
        ),
    }
    return calls.get(found.type.lower())
