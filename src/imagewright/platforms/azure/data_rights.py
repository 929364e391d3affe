"""Rights on the data of blobs: an Owner of a subscription has none of them, and would learn it hours later."""

from __future__ import annotations

from imagewright.core.choices import Reach
from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.events import Level, Note
from imagewright.core.plan import Plan, VhdTarget
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.doctor import DATA_ACTIONS, missing

ROLE = "Storage Blob Data Contributor"


def look(plan: Plan, choices: AzureChoices, arm: Arm, deadline: Deadline) -> Note | None:
    """A warning where the build will write blobs and the caller does not seem to have the right to.

    Only a warning: a role may be granted on an account alone, which nobody can ask for before the account is there.
    """
    blobs = [target for target in plan.targets if isinstance(target, VhdTarget) and "sig=" not in target.uri]
    if choices.reach is not Reach.AGENT and not blobs:
        return None
    scope = f"/subscriptions/{arm.subscription}"
    if choices.reach is not Reach.AGENT and plan.azure.resource_group:
        scope += f"/resourceGroups/{plan.azure.resource_group}"
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    try:
        granted = arm.get("reading the granted role actions", deadline, path, "2022-04-01")["value"]
    except PlatformError:
        return None
    lacking = missing(granted, DATA_ACTIONS, "dataActions", "notDataActions")
    if not lacking:
        return None
    what = "a VHD target" if blobs else "`--reach agent`"
    return Note(
        f"{what} needs data rights on blobs, which this caller does not seem to have: {', '.join(lacking)}",
        Level.WARNING,
        f'az role assignment create --assignee CALLER --role "{ROLE}" --scope {scope}',
    )
