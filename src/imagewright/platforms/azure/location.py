"""Where a resource group is: what a template asks for with `resourceGroup().location`."""

from __future__ import annotations

from contextlib import closing

from imagewright.core.clock import Clock, Deadline
from imagewright.platforms import Settings
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.connection import connect

SECONDS = 120.0


def location(settings: Settings, clock: Clock) -> str:
    """The Locator that `PLATFORMS` names. Raises PlatformError, where there is no such group too."""
    with closing(connect(settings)) as clients:
        group = Arm(clients).ask(
            f"looking up the resource group {settings.resource_group}",
            Deadline.after(clock, SECONDS, "looking up the resource group"),
            lambda c, k: c.resources.resource_groups.get(settings.resource_group, **k),
        )
    return str(group["location"])
