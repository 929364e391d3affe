"""The registry of platforms. A name is a string here and a package on use: a local build never loads an Azure SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from imagewright.core.clock import Clock
from imagewright.core.credential import SignIn
from imagewright.core.errors import OptionsError
from imagewright.core.events import Emit
from imagewright.core.ports import Closes, Platform, Publisher
from imagewright.platforms.azure.choices import AzureChoices


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a platform is told. None and `""` mean: its own default.

    `home` keeps what outlives builds (checkpoints, images, sources); `work` is this build's own directory, `output`
    where files that come out are written.
    """

    home: Path
    work: Path
    output: Path = Path("out")
    memory_mib: int | None = None
    cpus: int | None = None
    accelerator: str = "auto"
    subscription_id: str = ""
    resource_group: str = ""
    location: str = ""
    sign_in: SignIn | None = None
    """What an entry point found to sign in with; None: the platform looks for itself."""
    azure: AzureChoices = AzureChoices()


Factory = Callable[[Settings, Emit, Clock], Platform]

PLATFORMS: dict[str, str] = {
    "azure": "imagewright.platforms.azure:create",
    "local": "imagewright.platforms.local:create",
}

DOCTORS: dict[str, str] = {
    "azure": "imagewright.platforms.azure.doctor:checks",
    "local": "imagewright.platforms.local:checks",
}

WORTH: dict[str, float] = {
    "azure": 60.0,
}
"""Seconds that a checkpoint must save before it is worth keeping, where a resume is no matter of a moment."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The subscription, resource group and location that a template may ask for (`resourceGroup().location`)."""

    subscription_id: str = ""
    resource_group: str = ""
    location: str = ""


WHEREABOUTS: dict[str, Whereabouts] = {
    "local": Whereabouts("00000000-0000-0000-0000-000000000000", "local", "local"),
}
"""What a build takes for them where there are none and the options name none."""

STRAYS: dict[str, str] = {
    "azure": "imagewright.platforms.azure.strays:find",
}
"""Who can tell what earlier builds left behind without their ledgers, by tags and expiry."""


def load(name: str, settings: Settings, emit: Emit, clock: Clock) -> Platform:
    """The platform `name`. Raises OptionsError for one that is not there."""
    factory: Factory = find(PLATFORMS, name)
    return factory(settings, emit, clock)


def publisher(name: str, settings: Settings, emit: Emit, clock: Clock) -> Publisher:
    """The platform `name`, for its targets only."""
    made = load(name, settings, emit, clock)
    if not isinstance(made, Publisher):
        raise OptionsError(f"the platform `{name}` cannot publish what another one built")
    return made


@contextmanager
def opened(platform: Platform) -> Iterator[Platform]:
    """Its connections end with this."""
    try:
        yield platform
    finally:
        if isinstance(platform, Closes):
            platform.close()


def find(registry: dict[str, str], name: str) -> Any:
    """What `registry` names as `module:attribute` for `name`."""
    if name not in registry:
        raise OptionsError(f"there is no platform `{name}`", hint=f"one of {', '.join(sorted(registry))}")
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
