"""The registry of platforms. A name is a string here and a package on use: a local build never loads an Azure SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from imagewright.core.choices import Accelerator
from imagewright.core.clock import Clock
from imagewright.core.credential import SignIn
from imagewright.core.errors import OptionsError
from imagewright.core.events import Emit
from imagewright.core.ports import Closes, Platform, Publisher
from imagewright.engine.resume import WORTH_SECONDS
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
    accelerator: Accelerator = Accelerator.AUTO
    subscription_id: str = ""
    resource_group: str = ""
    location: str = ""
    sign_in: SignIn | None = None
    """What an entry point found to sign in with; None: the platform looks for itself."""
    azure: AzureChoices = AzureChoices()


Factory = Callable[[Settings, Emit, Clock], Platform]
Locator = Callable[[Settings, Clock], str]
"""Says where the resource group of the settings is."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The subscription, resource group and location that a template may ask for (`resourceGroup().location`)."""

    subscription_id: str = ""
    resource_group: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What must be known of a platform before it is loaded. The first three are names, `module:attribute`.

    `create` is its Factory, `checks` what `doctor` asks, `strays` finds what earlier builds left behind without their
    ledgers, `""` where nobody can. `worth_seconds`: what a checkpoint must save before it is worth keeping.
    `whereabouts` are taken where there are none and the options name none; `location` is a Locator, `""` where
    there is nobody to ask.
    """

    create: str
    checks: str
    strays: str = ""
    worth_seconds: float = WORTH_SECONDS
    whereabouts: Whereabouts = Whereabouts()
    location: str = ""


PLATFORMS: dict[str, Entry] = {
    "azure": Entry(
        create="imagewright.platforms.azure:create",
        checks="imagewright.platforms.azure.doctor:checks",
        strays="imagewright.platforms.azure.strays:find",
        worth_seconds=60.0,
        location="imagewright.platforms.azure.location:location",
    ),
    "local": Entry(
        create="imagewright.platforms.local:create",
        checks="imagewright.platforms.local:checks",
        whereabouts=Whereabouts("00000000-0000-0000-0000-000000000000", "local", "local"),
    ),
}


def load(name: str, settings: Settings, emit: Emit, clock: Clock) -> Platform:
    """The platform `name`. Raises OptionsError for one that is not there."""
    factory: Factory = find(entry(name).create)
    return factory(settings, emit, clock)


def publisher(name: str, settings: Settings, emit: Emit, clock: Clock) -> Publisher:
    """The platform `name`, for its targets only."""
    made = load(name, settings, emit, clock)
    if not isinstance(made, Publisher):
        raise OptionsError(f"the platform `{name}` cannot publish what another one built")
    return made


def locator(name: str) -> Locator | None:
    """Who can say where a resource group of the platform `name` is; None where nobody can."""
    named = entry(name).location
    return find(named) if named else None


@contextmanager
def opened(platform: Platform) -> Iterator[Platform]:
    """Its connections end with this."""
    try:
        yield platform
    finally:
        if isinstance(platform, Closes):
            platform.close()


def entry(name: str) -> Entry:
    """Raises OptionsError for a platform that is not there."""
    if name not in PLATFORMS:
        raise OptionsError(f"there is no platform `{name}`", hint=f"one of {', '.join(sorted(PLATFORMS))}")
    return PLATFORMS[name]


def find(name: str) -> Any:
    """What is called `name`, `module:attribute`; imported now."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
