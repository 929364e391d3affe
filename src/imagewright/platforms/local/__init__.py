"""Build VMs on the local QEMU."""

from __future__ import annotations

from imagewright.core.clock import Clock
from imagewright.core.events import Emit
from imagewright.core.ports import Platform
from imagewright.platforms import Settings


def create(settings: Settings, emit: Emit, clock: Clock) -> Platform:
    """What the registry of platforms loads."""
    from imagewright.platforms.local.platform import LocalPlatform

    return LocalPlatform(settings, emit, clock)
