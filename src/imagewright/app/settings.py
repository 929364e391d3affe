"""From options to what a platform, the engine and the cache are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.core.choices import Keep
from imagewright.core.clock import Clock, fresh_name
from imagewright.core.errors import OptionsError
from imagewright.options import Options
from imagewright.options.table import PUBLISHER

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.core.ports import CacheLimits
    from imagewright.engine.resume import CachePolicy
    from imagewright.platforms import Settings
    from imagewright.platforms.azure.choices import AzureChoices

DAY = 86400.0
NO_LIMIT_DAYS = 100 * 365.0
"""What is kept in Azure says when it may go: a hundred years are no limit."""


def home_of(options: Options) -> Path:
    try:
        return options.home.expanduser().absolute()
    except FileNotFoundError:
        raise OptionsError(
            f"{options.home} is nowhere: the working directory is gone", hint="change into a directory that is there"
        ) from None
    except RuntimeError:
        raise OptionsError(
            "there is no home directory to keep checkpoints and ledgers in",
            hint="set HOME, or choose a place with `--home`",
        ) from None


def fresh_build_id(clock: Clock) -> str:
    return f"{clock.now():%Y%m%d-%H%M%S}-{fresh_name(6)}"


def with_whereabouts(options: Options) -> Options:
    """With the subscription, group and location that the platform takes where the options name none."""
    from imagewright.platforms import entry

    default = entry(writer(options)).whereabouts
    return replace(
        options,
        subscription=options.subscription or default.subscription_id,
        resource_group=options.resource_group or default.resource_group,
        location=options.location or default.location,
    )


def writer(options: Options) -> str:
    """The platform that writes the targets."""
    return PUBLISHER if options.publish_to_azure else options.platform


def settings_of(options: Options, work: Path, sign_in: SignIn | None = None) -> Settings:
    from imagewright.platforms import Settings

    return Settings(
        home=home_of(options),
        work=work,
        output=options.output,
        memory_mib=options.memory,
        cpus=options.cpus,
        accelerator=options.accelerator,
        subscription_id=options.subscription,
        resource_group=options.resource_group,
        location=options.location,
        sign_in=sign_in,
        azure=azure_choices(options),
    )


def azure_choices(options: Options) -> AzureChoices:
    from imagewright.platforms.azure.choices import AzureChoices

    return AzureChoices(
        cloud=options.cloud,
        arm_endpoint=options.arm_endpoint,
        authority_host=options.authority_host,
        ca_bundle=options.ca_bundle,
        reach=options.reach,
        agent_address=options.agent_address,
        private=options.private,
        fallback_sizes=options.fallback_sizes,
        zones=options.zones,
        spot=options.spot,
        ephemeral_os_disk=options.ephemeral_os_disk,
        os_disk_type=options.os_disk_type,
        tags=options.tags,
        storage_account=options.staging_account,
        storage_name=options.staging_account_name,
        storage_network=options.staging_account_network,
        cache_group=options.cache_group,
        cache_days=NO_LIMIT_DAYS if options.cache_age is None else options.cache_age / DAY,
        keeps=policy_of(options).keep is not Keep.NONE,
        end_of_life_days=(options.end_of_life or 0.0) / DAY,
    )


def policy_of(options: Options) -> CachePolicy:
    from imagewright.engine.resume import CachePolicy
    from imagewright.platforms import entry

    if options.no_cache:
        return CachePolicy(reuse=False, keep=Keep.NONE)
    return CachePolicy(keep=options.cache, worth_seconds=entry(options.platform).worth_seconds)


def limits_of(options: Options) -> CacheLimits:
    from imagewright.core.ports import CacheLimits

    return CacheLimits(size=options.cache_size, age=options.cache_age)
