"""From settings to clients: the cloud, the subscription, the credential, the authorities of TLS."""

from __future__ import annotations

import os
from pathlib import Path

from imagewright.core.errors import OptionsError
from imagewright.platforms import Settings
from imagewright.platforms.azure.clients import Clients
from imagewright.platforms.azure.clouds import cloud_of
from imagewright.platforms.azure.credential import from_environment


def connect(settings: Settings) -> Clients:
    """Nothing is sent yet. Raises OptionsError when the subscription is not known."""
    choices, sign_in, subscription = settings.azure, settings.sign_in, subscription_of(settings)
    if not subscription:
        raise OptionsError("the Azure platform needs a subscription", hint="--subscription, or AZURE_SUBSCRIPTION_ID")
    bundle = choices.ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE", "")
    if choices.ca_bundle and not Path(choices.ca_bundle).is_file():
        raise OptionsError(f"`--ca-bundle`: there is no file {choices.ca_bundle}", hint="check the path")
    return Clients(
        (lambda: sign_in.credential) if sign_in else from_environment,
        cloud_of(choices, sign_in.cloud if sign_in else ""),
        subscription,
        bundle or True,
    )


def subscription_of(settings: Settings) -> str:
    """`""` where neither an option nor the sign-in names one."""
    return settings.subscription_id or (settings.sign_in.subscription if settings.sign_in else "")
