"""Build VMs on the local QEMU."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from imagewright.core.clock import Clock
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit
from imagewright.core.ports import Platform
from imagewright.core.report import Check
from imagewright.platforms import Settings


def create(settings: Settings, emit: Emit, clock: Clock) -> Platform:
    """What the registry of platforms loads."""
    _needs_linux()
    from imagewright.platforms.local.platform import LocalPlatform

    return LocalPlatform(settings, emit, clock)


def checks(settings: Settings) -> Iterable[Check]:
    """Whether this machine can build."""
    _needs_linux()
    from imagewright.platforms.local import doctor

    return doctor.checks(settings)


def _needs_linux() -> None:
    if sys.platform != "linux":
        raise PlatformError(
            "builds on QEMU need Linux",
            hint="`--platform azure` builds in your subscription from every machine; on Windows, WSL 2 is a Linux",
        )
