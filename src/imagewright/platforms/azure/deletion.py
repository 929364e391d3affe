"""Deleting what builds own in Azure: a group whole, a single resource, or one build's things in somebody's group.

Deletions are requests that end by themselves: they can be sent at once and waited for later. With little time left (a
cancelled build) nobody waits: `cleanup` looks whether they are gone.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import ImagewrightError, PlatformError
from imagewright.core.ownership import Owned
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.platforms.azure import access, claims, errors, names, storage, vhd_blob
from imagewright.platforms.azure.arm import Arm, Call, Json, Operation, together
from imagewright.platforms.azure.storage import Storage

GROUP = "resource-group"
EMPTY_GROUP = "empty-resource-group"
RESOURCE = "resource"
BUILD = "build-in-group"

HURRY = 15.0
"""With less than so many seconds left, deletions are sent and not waited for."""

MARGIN = 0.5
"""Seconds of a hurry that are kept for saying what came of it."""

RESERVED = "NicReservedForAnotherVm"
RESERVED_SECONDS, RESERVED_PAUSE = 240.0, 15.0
"""Azure keeps the interface of a machine that could not be made for three minutes."""

FORCED = "Microsoft.Compute/virtualMachines"
"""What of a group is not shut down first."""

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
    def __init__(self, arm: Callable[[str], Arm], storage: Callable[[], Storage], clock: Clock) -> None:
        """`arm`: the caller in the subscription that is named."""
        self._arm = arm
        self._storage = storage
        self._clock = clock
        self._begun: dict[Owned, Operation | ImagewrightError] = {}
        self._lock = threading.Lock()

    def begin(self, owned: Sequence[Owned], deadline: Deadline) -> None:
        """Send deletions now, groups first; `delete` waits for the end of each, or says why it could not be sent.

        With time, only groups are begun: the rest goes in an order. In a hurry all go at once.
        """
        hurry = deadline.remaining() < HURRY
        threads = [
            threading.Thread(target=self._begin, args=(each, deadline), name="delete", daemon=True)
            for each in sorted(owned, key=lambda each: each.kind != GROUP)
            if (hurry or each.kind == GROUP) and not isinstance(self._begun.get(each), Operation)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline.remaining() - MARGIN))

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        """Raises PlatformError when it could not be deleted, or when there was no time to see it gone."""
        with self._lock:
            begun = self._begun.pop(owned, None)
        try:
            if deadline.remaining() < HURRY:
                raise begun if isinstance(begun, ImagewrightError) else _sent(owned)
            if isinstance(begun, Operation):
                begun.wait()
            else:
                self._delete(self._meant(owned, deadline), deadline)
        except PlatformError as error:
            if not errors.is_gone(error):
                raise

    def _meant(self, owned: Owned, deadline: Deadline) -> Owned:
        """The record of a group whose name other builds may give too names its build: once another one has put
        something into the group, only what is the build's own goes."""
        if owned.kind != GROUP or not owned.detail:
            return owned
        group, now = _id(owned.id).resource_group, self._clock.now()
        inside: list[Json] = self._at(owned).all(
            f"looking into {group}",
            deadline,
            lambda c, k: c.resources.resources.list_by_resource_group(group, **k),
        )
        if any(_is_of_another(each.get("tags") or {}, owned.detail, now) for each in inside):
            return Owned(owned.platform, BUILD, owned.id, owned.detail)
        return owned

    # --- to send and not to wait ---

    def _begin(self, owned: Owned, deadline: Deadline) -> None:
        begun: Operation | ImagewrightError
        try:
            begun = self._operation(self._meant(owned, deadline), deadline)
        except ImagewrightError as error:
            begun = error
        with self._lock:
            self._begun[owned] = begun

    def _operation(self, owned: Owned, deadline: Deadline) -> Operation:
        match owned.kind:
            case "resource-group":
                return self._at(owned).begin(_doing(owned.id), deadline, _group(owned), result=False)
            case "empty-resource-group":
                raise _sent(owned)  # whether it is empty is seen when the rest is gone
            case "build-in-group":
                return self._send_build(owned, deadline)
            case access.ACCESS:
                call = access.revocation(owned.id)
            case vhd_blob.BLOB:
                vhd_blob.delete(self._storage(), owned)
                return Operation(f"deleting {owned}", None)
            case storage.CONTAINER_KIND:
                self._storage().delete_container(owned.id)
                return Operation(f"deleting {owned}", None)
            case claims.CLAIM if not claims.is_ours(self._at(owned), owned, deadline):
                return Operation(f"deleting {owned}", None)
            case _:
                call = _call(owned.id)
        return self._at(owned).begin(_doing(owned.id), deadline, call, result=False)

    def _send_build(self, owned: Owned, deadline: Deadline) -> Operation:
        """What is still in use when its turn comes is left to the clean-up."""
        arm = self._at(owned)
        reasons: list[ImagewrightError] = []
        for each in itertools.chain(*self._lines(owned, deadline)):
            try:
                arm.send(_doing(each), deadline, _call(each))
            except PlatformError as error:
                if not errors.is_gone(error):
                    reasons.append(error)
        if reasons:
            raise reasons[0]
        return Operation(f"deleting {owned}", None)

    # --- to wait until it is gone ---

    def _delete(self, owned: Owned, deadline: Deadline) -> None:
        match owned.kind:
            case "resource-group":
                self._at(owned).do(_doing(owned.id), deadline, _group(owned), result=False)
            case "empty-resource-group":
                self._empty_group(owned, deadline)
            case "build-in-group":
                self._delete_build(owned, deadline)
            case access.ACCESS:
                access.revoke(self._at(owned), owned.id, deadline)
            case vhd_blob.BLOB:
                vhd_blob.delete(self._storage(), owned)
            case storage.CONTAINER_KIND:
                self._storage().delete_container(owned.id)
            case claims.CLAIM if not claims.is_ours(self._at(owned), owned, deadline):
                return
            case _:
                self._one(owned.id, deadline)

    def _delete_build(self, owned: Owned, deadline: Deadline) -> None:
        """What cannot be deleted keeps nothing else from being deleted; the first reason is raised at the end."""
        reasons: list[ImagewrightError] = []

        def one(resource: str) -> None:
            try:
                self._one(resource, deadline)
            except PlatformError as error:
                reasons.append(error)

        for line in self._lines(owned, deadline):
            if line:
                together(*(lambda each=each: one(each) for each in line))
        if reasons:
            raise reasons[0]

    def _at(self, owned: Owned) -> Arm:
        return self._arm(_id(owned.id).subscription)

    def _empty_group(self, owned: Owned, deadline: Deadline) -> None:
        """A group that was made to hold what outlives builds; it goes only if nothing came into it."""
        group = _id(owned.id).resource_group
        inside = self._at(owned).all(
            f"looking into {group}",
            deadline,
            lambda c, k: c.resources.resources.list_by_resource_group(group, top=1, **k),
        )
        if not inside:
            self._at(owned).do(_doing(owned.id), deadline, _group(owned), result=False)

    def _lines(self, owned: Owned, deadline: Deadline) -> list[list[str]]:
        """The ids of what one build made in a group, as ORDER has it; last what it does not know."""
        group = _id(owned.id).resource_group
        query = f"tagName eq '{names.BUILD}' and tagValue eq '{owned.detail}'"
        inside: list[Json] = self._at(owned).all(
            f"looking for what the build left in {group}",
            deadline,
            lambda c, k: c.resources.resources.list_by_resource_group(group, filter=query, **k),
        )
        known = [{kind.lower() for kind in line} for line in ORDER]
        lines = [[each["id"] for each in inside if each["type"].lower() in line] for line in known]
        others = [each for each in inside if not any(each["type"].lower() in line for line in known)]
        return [*lines, [each["id"] for each in others if "/" not in each["type"].partition("/")[2]]]

    def _one(self, resource: str, deadline: Deadline) -> None:
        patience = deadline.sooner(RESERVED_SECONDS, f"the deletion of {resource}", error=PlatformError)
        while True:
            try:
                self._arm(_id(resource).subscription).do(_doing(resource), deadline, _call(resource), result=False)
            except PlatformError as error:
                if errors.code_in(error) == RESERVED and patience.remaining() > 0:
                    deadline.wait(RESERVED_PAUSE)
                    continue
                if not errors.is_gone(error):
                    raise
            return


def _is_of_another(tags: Json, build: str, now: datetime) -> bool:
    """Whether a build that may still run made what has these tags."""
    expires = names.moment(str(tags.get(names.EXPIRES, "")))
    return tags.get(names.BUILD, build) != build and (expires is None or expires > now)


def _doing(resource: str) -> str:
    found = _id(resource)
    if not found.type:
        return f"deleting the resource group {found.resource_group}"
    return f"deleting {found.type.rpartition('/')[2]} {found.name}"


def _group(owned: Owned) -> Call:
    name = _id(owned.id).resource_group
    return lambda c, k: c.resources.resource_groups.begin_delete(name, force_deletion_types=FORCED, **k)


def _call(resource: str) -> Call:
    found = _id(resource)
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
    call = calls.get(found.type.lower())
    if call is None:
        raise PlatformError(f"{resource} is nothing that Imagewright makes", hint="delete it by hand")
    return call


def _sent(owned: Owned) -> PlatformError:
    return PlatformError(
        f"the deletion of {owned} was begun and not waited for", hint="`imagewright cleanup` looks whether it is gone"
    )


def _id(resource: str) -> ResourceId:
    found = parse_resource_id(resource)
    if found is None:
        raise PlatformError(f"{resource} is not a resource id", hint="the ledger was changed by hand?")
    return found
