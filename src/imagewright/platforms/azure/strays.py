"""What builds left behind whose ledgers are gone: found by their tags, and only when their time is over."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from datetime import datetime, timedelta

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned
from imagewright.platforms import Settings
from imagewright.platforms.azure import errors, names
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.connection import connect
from imagewright.platforms.azure.deletion import BUILD, GROUP, RESOURCE

LOOK_SECONDS = 300.0


def find(settings: Settings, clock: Clock, older_than: float | None) -> tuple[Owned, ...]:
    """Groups of builds, and things of builds in other groups, that may go.

    A build writes on all that it makes when it will be over; nothing is taken before that. With `older_than`, in
    seconds, what is older goes too: builds that still run there are the caller's to know.
    """
    with closing(connect(settings)) as clients:
        deadline = Deadline.after(clock, LOOK_SECONDS, "looking for what builds left behind")
        return _found(Arm(clients), deadline, clock.now(), older_than)


def _found(arm: Arm, deadline: Deadline, now: datetime, older_than: float | None) -> tuple[Owned, ...]:
    query = f"tagName eq '{names.BUILD}'"
    groups = arm.all(
        "listing the resource groups of builds",
        deadline,
        lambda c, k: c.resources.resource_groups.list(filter=query, **k),
    )
    found = [Owned("azure", GROUP, group["id"]) for group in groups if _over(group, now, older_than)]
    own = {group["id"].lower() for group in groups}
    resources = _tagged(arm, names.BUILD, own, deadline)
    shared = {(_group(each), each["tags"][names.BUILD]) for each in resources if _over(each, now, older_than)}
    found += [Owned("azure", BUILD, group, build) for group, build in sorted(shared)]
    kept = _tagged(arm, names.KEY, (), deadline)
    found += [Owned("azure", RESOURCE, each["id"]) for each in kept if _over(each, now, None)]
    return tuple(found)


def _tagged(arm: Arm, tag: str, without: Collection[str], deadline: Deadline) -> list[Json]:
    """The resources with a tag of this name, except in the groups `without`. A listing by tag leaves the tags out: it
    says which groups to read."""
    rows = arm.all(
        f"listing what has the tag {tag}",
        deadline,
        lambda c, k: c.resources.resources.list(filter=f"tagName eq '{tag}'", **k),
    )
    groups = {_group(row) for row in rows if _group(row).lower() not in without}
    inside = [each for group in sorted(groups) for each in _inside(arm, group.rpartition("/")[2], deadline)]
    return [each for each in inside if tag in (each.get("tags") or {})]


def _inside(arm: Arm, group: str, deadline: Deadline) -> list[Json]:
    try:
        return arm.all(
            f"looking into {group}",
            deadline,
            lambda c, k: c.resources.resources.list_by_resource_group(group, **k),
        )
    except PlatformError as error:
        if errors.is_gone(error):
            return []
        raise


def _over(thing: Json, now: datetime, older_than: float | None) -> bool:
    tags = thing.get("tags") or {}
    expires = names.moment(str(tags.get(names.EXPIRES, "")))
    if expires is not None and expires <= now:
        return True
    started = names.moment(str(tags.get(names.STARTED, "")))
    return older_than is not None and started is not None and now - started >= timedelta(seconds=older_than)


def _group(resource: Json) -> str:
    return "/".join(str(resource["id"]).split("/")[:5])
