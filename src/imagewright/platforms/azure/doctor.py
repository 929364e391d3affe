"""Whether a build in this subscription would work: the credential, the providers, the rights, the quota."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import ImagewrightError
from imagewright.core.report import Check, Verdict
from imagewright.platforms import Settings
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.connection import connect
from imagewright.platforms.azure.network import agent_address

PROVIDERS = ("Microsoft.Compute", "Microsoft.Network", "Microsoft.Storage")
SECONDS = 120.0
CORES = 2

ACTIONS = (
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Resources/subscriptions/providers/read",
    "Microsoft.Authorization/permissions/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
    "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
    "Microsoft.Resources/subscriptions/resources/read",
    "Microsoft.Resources/subscriptions/operationresults/read",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.Compute/skus/read",
    "Microsoft.Compute/locations/*/read",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/virtualMachines/powerOff/action",
    "Microsoft.Compute/virtualMachines/restart/action",
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/virtualMachines/runCommands/read",
    "Microsoft.Compute/virtualMachines/runCommands/write",
    "Microsoft.Compute/virtualMachines/runCommands/delete",
    "Microsoft.Compute/disks/read",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Compute/disks/beginGetAccess/action",
    "Microsoft.Compute/disks/endGetAccess/action",
    "Microsoft.Compute/snapshots/read",
    "Microsoft.Compute/snapshots/write",
    "Microsoft.Compute/snapshots/delete",
    "Microsoft.Compute/snapshots/beginGetAccess/action",
    "Microsoft.Compute/snapshots/endGetAccess/action",
    "Microsoft.Compute/images/read",
    "Microsoft.Compute/images/write",
    "Microsoft.Compute/images/delete",
    "Microsoft.Compute/galleries/read",
    "Microsoft.Compute/galleries/images/read",
    "Microsoft.Compute/galleries/images/versions/read",
    "Microsoft.Compute/galleries/images/versions/write",
    "Microsoft.Compute/galleries/images/versions/delete",
    "Microsoft.Network/locations/*/read",
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/virtualNetworks/write",
    "Microsoft.Network/virtualNetworks/delete",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
    "Microsoft.Network/networkSecurityGroups/read",
    "Microsoft.Network/networkSecurityGroups/write",
    "Microsoft.Network/networkSecurityGroups/delete",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Network/publicIPAddresses/read",
    "Microsoft.Network/publicIPAddresses/write",
    "Microsoft.Network/publicIPAddresses/delete",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkInterfaces/delete",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Storage/locations/*/read",
    "Microsoft.Storage/storageAccounts/read",
    "Microsoft.Storage/storageAccounts/write",
    "Microsoft.Storage/storageAccounts/delete",
    "Microsoft.Storage/storageAccounts/blobServices/containers/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
    "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
)
"""Least privilege: every control-plane action that a build, its resume, its clean-up and these checks take. Under
`locations` are what a region offers and the states of operations, which each service names in its own way."""

DATA_ACTIONS = (
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
)
"""Needed for a VHD target and for `--reach agent` only."""


def checks(settings: Settings) -> Iterator[Check]:
    """In the order in which a build needs them; what cannot be asked without the one before is not asked."""
    deadline = Deadline.after(SystemClock(), SECONDS, "the doctor")
    try:
        clients = connect(settings)
    except ImagewrightError as error:
        yield Check("credential", Verdict.BAD, error.message, error.hint)
        return
    with closing(clients):
        yield from _checks(Arm(clients), settings, deadline)


def _checks(arm: Arm, settings: Settings, deadline: Deadline) -> Iterator[Check]:
    try:
        subscription = arm.get(
            "reading the subscription", deadline, f"/subscriptions/{arm.subscription}", "2022-12-01"
        )
    except ImagewrightError as error:
        yield Check("credential", Verdict.BAD, error.message, error.hint)
        return
    yield Check("credential", Verdict.GOOD, f"signed in to {subscription.get('displayName', arm.subscription)}")
    for name in PROVIDERS:
        yield _guarded(f"provider {name}", partial(_provider, arm, name, deadline))
    yield _guarded("rights", lambda: _rights(arm, deadline))
    if settings.location:
        yield _guarded("quota", lambda: _quota(arm, settings.location, deadline))
    yield _guarded("agent address", lambda: _address(settings, deadline))


def missing(granted: Sequence[Json], wanted: Sequence[str], allow: str, deny: str) -> tuple[str, ...]:
    """Those of `wanted` that no role grants. `granted` is what the permissions API lists: each role by itself."""
    return tuple(
        action
        for action in wanted
        if not any(
            any(_matches(pattern, action) for pattern in role.get(allow) or [])
            and not any(_matches(pattern, action) for pattern in role.get(deny) or [])
            for role in granted
        )
    )


def role_definition(subscription: str, actions: Sequence[str], data_actions: Sequence[str]) -> Json:
    """A custom role with exactly these actions, as `az role definition create` takes it."""
    return {
        "Name": "Imagewright builder",
        "Description": "What an Imagewright build needs and this caller lacks",
        "Actions": list(actions),
        "DataActions": list(data_actions),
        "AssignableScopes": [f"/subscriptions/{subscription}"],
    }


def _provider(arm: Arm, name: str, deadline: Deadline) -> Check:
    found = arm.ask(f"looking up {name}", deadline, lambda c, k: c.resources.providers.get(name, **k))
    state = str(found.get("registrationState"))
    verdict = Verdict.GOOD if state == "Registered" else Verdict.BAD
    hint = "" if verdict is Verdict.GOOD else f"az provider register --namespace {name}"
    return Check(f"provider {name}", verdict, state, hint)


def _rights(arm: Arm, deadline: Deadline) -> Check:
    path = f"/subscriptions/{arm.subscription}/providers/Microsoft.Authorization/permissions"
    granted = arm.get("reading the granted role actions", deadline, path, "2022-04-01")["value"]
    actions = missing(granted, ACTIONS, "actions", "notActions")
    data = missing(granted, DATA_ACTIONS, "dataActions", "notDataActions")
    if not actions and not data:
        return Check("rights", Verdict.GOOD, f"all {len(ACTIONS) + len(DATA_ACTIONS)} role actions are granted")
    role = json.dumps(role_definition(arm.subscription, actions, data))
    verdict = Verdict.BAD if actions else Verdict.POOR
    what = f"{len(actions)} role actions are missing" if actions else "data actions are missing (VHD, --reach agent)"
    return Check(
        "rights",
        verdict,
        f"{what}: {', '.join((*actions, *data))}",
        f"az role definition create --role-definition '{role}'",
    )


def _quota(arm: Arm, location: str, deadline: Deadline) -> Check:
    rows = arm.all("reading the quota", deadline, lambda c, k: c.compute.usage.list(location, **k))
    cores = next((row for row in rows if row["name"]["value"] == "cores"), None)
    if cores is None:
        return Check("quota", Verdict.POOR, f"{location} tells no quota of cores")
    left = cores["limit"] - cores["currentValue"]
    verdict = Verdict.GOOD if left >= CORES else Verdict.BAD
    hint = "" if verdict is Verdict.GOOD else "ask for more in the portal (Usage + quotas)"
    return Check("quota", verdict, f"{left} of {cores['limit']} cores are free in {location}", hint)


def _address(settings: Settings, deadline: Deadline) -> Check:
    found = agent_address(settings.azure.agent_address, deadline)
    if found:
        return Check("agent address", Verdict.GOOD, found)
    return Check(
        "agent address",
        Verdict.POOR,
        "not known: builds go through the VM agent",
        "--agent-address makes SSH possible",
    )


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except ImagewrightError as error:
        return Check(name, Verdict.BAD, error.message, error.hint)


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None
