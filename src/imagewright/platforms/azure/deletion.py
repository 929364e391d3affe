"""Deleting what builds own in Azure: a group whole, a single resource, or one build's things in somebody's group.

With little time left (a cancelled build) the request is sent and nobody waits for its end: `cleanup` looks later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.platforms.azure import errors, names
from imagewright.platforms.azure.arm import Arm, Call, Json, Operation, together

GROUP = "resource-group"
EMPTY_GROUP = "empty-resource-group"
RESOURCE = "resource"
BUILD = "build-in-group"

HURRY = 15.0
"""With less than so many seconds left, deletions are sent and not waited for."""

ORDER = (
    ("Microsoft.Compute/virtualMachines",),
    ("Microsoft.Network/networkInterfaces", "Microsoft.Compute/disks", "Microsoft.Compute/snapshots"),
    (
        "Microsoft.Compute/images",
        "Microsoft.Network/virtualNetworks",
        "Microsoft.Network/networkSecurityGroups",
        "Microsoft.Network/publicIPAddresses",
        "Microsoft.Storage/storageAccounts",
    ),
)
"""What stands in one line goes at once; a line goes when the one before it is gone."""


class Deletion:
    def __init__(self, arm: Callable[[], Arm]) -> None:
        self._arm = arm
        self._begun: dict[str, Operation] = {}
        self._lock = threading.Lock()

    def begin(self, owned: Owned, deadline: Deadline) -> None:
        """Send the deletion of a group now; `delete` waits for its end later."""
        group = _id(owned).resource_group
        with self._lock:
            self._begun[owned.id] = self._at(owned).begin(
                f"deleting the resource group {group}",
                deadline,
                lambda c, k: c.resources.resource_groups.begin_delete(group, **k),
            )

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        """Raises PlatformError when it could not be deleted, or when there was no time to see it gone."""
        try:
            match owned.kind:
                case "resource-group":
                    self._group(owned, deadline)
                case "empty-resource-group":
                    self._empty_group(owned, deadline)
                case "build-in-group":
                    self._build(owned, deadline)
                case _:
                    self._one(self._at(owned), owned.id, deadline)
        except PlatformError as error:
            if not errors.is_gone(error):
                raise

    def _at(self, owned: Owned) -> Arm:
        return self._arm().at(_id(owned).subscription)

    def _group(self, owned: Owned, deadline: Deadline) -> None:
        name = _id(owned).resource_group
        doing = f"deleting the resource group {name}"

        def call(c: object, k: Json) -> object:
            return c.resources.resource_groups.begin_delete(name, **k)  # type: ignore[attr-defined]

        with self._lock:
            begun = self._begun.pop(owned.id, None)
        if begun is None and deadline.remaining() < HURRY:
            self._at(owned).send(doing, deadline, call)
        if deadline.remaining() < HURRY:
            raise _sent(owned)
        if begun is not None:
            begun.wait()
        else:
            self._at(owned).do(doing, deadline, call)

    def _empty_group(self, owned: Owned, deadline: Deadline) -> None:
        """A group that was made to hold what outlives builds; it goes only if nothing came into it."""
        name = _id(owned).resource_group
        inside = self._at(owned).all(
            f"looking into {name}",
            deadline,
            lambda c, k: c.resources.resources.list_by_resource_group(name, top=1, **k),
        )
        if not inside:
            self._group(owned, deadline)

    def _build(self, owned: Owned, deadline: Deadline) -> None:
        group, arm = _id(owned).resource_group, self._at(owned)
        query = f"tagName eq '{names.BUILD}' and tagValue eq '{owned.detail}'"
        inside = arm.all(
            f"looking for what the build left in {group}",
            deadline,
            lambda c, k: c.resources.resources.list_by_resource_group(group, filter=query, **k),
        )
        for line in ORDER:
            kinds = {kind.lower() for kind in line}
            ids = [each["id"] for each in inside if each["type"].lower() in kinds]
            if ids:
                together(*(lambda each=each: self._one(arm, each, deadline) for each in ids))
        known = {kind.lower() for line in ORDER for kind in line}
        for each in inside:
            if each["type"].lower() not in known and "/" not in each["type"].partition("/")[2]:
                self._one(arm, each["id"], deadline)

    def _one(self, arm: Arm, resource: str, deadline: Deadline) -> None:
        found = parse_resource_id(resource)
        call = _call(found) if found else None
        if found is None or call is None:
            raise PlatformError(f"{resource} is nothing that Imagewright makes", hint="delete it by hand")
        doing = f"deleting {found.type.rpartition('/')[2]} {found.name}"
        try:
            if deadline.remaining() < HURRY:
                arm.send(doing, deadline, call)
                raise _sent(Owned("azure", RESOURCE, resource))
            arm.do(doing, deadline, call)
        except PlatformError as error:
            if not errors.is_gone(error):
                raise


def _call(found: ResourceId) -> Call | None:
    group, held = found.resource_group, found.names

    def storage(c: object, k: Json) -> object:
        k.pop("polling", None)
        return c.storage.storage_accounts.delete(group, *held, **k)  # type: ignore[attr-defined]

    calls: dict[str, Call] = {
        "microsoft.compute/virtualmachines": lambda c, k: c.compute.virtual_machines.begin_delete(
            group, *held, force_deletion=True, **k
        ),
        "microsoft.compute/virtualmachines/runcommands": lambda c, k: (
            c.compute.virtual_machine_run_commands.begin_delete(group, *held, **k)
        ),
        "microsoft.compute/disks": lambda c, k: c.compute.disks.begin_delete(group, *held, **k),
        "microsoft.compute/snapshots": lambda c, k: c.compute.snapshots.begin_delete(group, *held, **k),
        "microsoft.compute/images": lambda c, k: c.compute.images.begin_delete(group, *held, **k),
        "microsoft.compute/galleries/images/versions": lambda c, k: c.compute.gallery_image_versions.begin_delete(
            group, *held, **k
        ),
        "microsoft.network/networkinterfaces": lambda c, k: c.network.network_interfaces.begin_delete(
            group, *held, **k
        ),
        "microsoft.network/virtualnetworks": lambda c, k: c.network.virtual_networks.begin_delete(group, *held, **k),
        "microsoft.network/networksecuritygroups": lambda c, k: c.network.network_security_groups.begin_delete(
            group, *held, **k
        ),
        "microsoft.network/publicipaddresses": lambda c, k: c.network.public_ip_addresses.begin_delete(
            group, *held, **k
        ),
        "microsoft.storage/storageaccounts": storage,
    }
    return calls.get(found.type.lower())


def _sent(owned: Owned) -> PlatformError:
    return PlatformError(
        f"the deletion of {owned} was begun and not waited for", hint="`imagewright cleanup` looks whether it is gone"
    )


def _id(owned: Owned) -> ResourceId:
    found = parse_resource_id(owned.id)
    if found is None:
        raise PlatformError(f"{owned.id} is not a resource id", hint="the ledger was changed by hand?")
    return found
