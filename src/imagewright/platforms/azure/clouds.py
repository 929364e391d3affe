"""The Azure clouds: where ARM answers, who gives tokens, what for."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

from imagewright.core.errors import OptionsError
from imagewright.platforms.azure.choices import AzureChoices


@dataclass(frozen=True, slots=True)
class Cloud:
    """`arm` and `authority` are URLs without a slash at their end, `scope` is what a token for ARM is asked for."""

    name: str
    arm: str
    authority: str
    scope: str

    @property
    def is_public(self) -> bool:
        """One of Microsoft's own: its authorities are known to the identity library."""
        return self in CLOUDS.values()


CLOUDS = {
    each.name.lower(): each
    for each in (
        Cloud(
            "AzureCloud",
            "https://management.azure.com",
            "https://login.microsoftonline.com",
            "https://management.azure.com/.default",
        ),
        Cloud(
            "AzureUSGovernment",
            "https://management.usgovcloudapi.net",
            "https://login.microsoftonline.us",
            "https://management.core.usgovcloudapi.net/.default",
        ),
        Cloud(
            "AzureChinaCloud",
            "https://management.chinacloudapi.cn",
            "https://login.chinacloudapi.cn",
            "https://management.chinacloudapi.cn/.default",
        ),
    )
}


def cloud_of(choices: AzureChoices, signed_in_to: str = "") -> Cloud:
    """The cloud that `choices` speak of, or else the one that the credential is good for. Raises OptionsError."""
    name = choices.cloud or signed_in_to or "AzureCloud"
    known = CLOUDS.get(name.lower())
    if known is None:
        names = ", ".join(cloud.name for cloud in CLOUDS.values())
        raise OptionsError(f"there is no Azure cloud `{name}`", hint=f"one of {names}, or give --arm-endpoint")
    if not choices.arm_endpoint:
        authority = _url(choices.authority_host, "--authority-host") if choices.authority_host else known.authority
        return Cloud(known.name, known.arm, authority, known.scope)
    arm = _url(choices.arm_endpoint, "--arm-endpoint")
    if not choices.authority_host:
        raise OptionsError(
            "`--arm-endpoint` needs `--authority-host`", hint="give the address that issues its tokens"
        )
    return Cloud("custom", arm, _url(choices.authority_host, "--authority-host"), f"{arm}/.default")


def _url(text: str, option: str) -> str:
    parts = urllib.parse.urlsplit(text)
    if parts.scheme != "https" or not parts.netloc:
        raise OptionsError(f"`{option}`: '{text}' is no https address", hint="tokens are never sent without TLS")
    return text.rstrip("/")
