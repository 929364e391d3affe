"""Builds in the user's own Azure subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagewright.core.clock import Clock
from imagewright.core.events import Emit
from imagewright.core.ports import Platform

if TYPE_CHECKING:
    from imagewright.platforms import Settings


def create(settings: Settings, emit: Emit, clock: Clock) -> Platform:
    """The factory that `PLATFORMS` names. (Not `platform`: importing the module of that name would hide it.)"""
    from imagewright.platforms.azure.platform import AzurePlatform

    return AzurePlatform(settings, emit, clock)
