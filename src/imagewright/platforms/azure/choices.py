"""What a user may choose about builds in Azure. Plain data: nothing here needs an SDK."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.choices import Reach

CACHE_GROUP = "imagewright-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureChoices:
    """`""`, `()` and None mean: the platform's own default.

    `cloud` is `AzureCloud`, `AzureUSGovernment` or `AzureChinaCloud`; `arm_endpoint` and `authority_host` are URLs of
    another one. `ca_bundle` is a PEM file that TLS connections are checked with. `agent_address` is the address (or
    CIDR) that the build VM lets in; `fallback_sizes` and `zones` are tried in their order when there is no capacity.
    `storage_account` is the ARM id of an account to use instead of one of our own. `cache_days` is how long
    checkpoints live, `keeps` whether this build makes any (so that it can be said), `end_of_life_days` is written on
    gallery versions. `private`: the build VM gets no public address even where no subnet is named.
    """

    cloud: str = ""
    arm_endpoint: str = ""
    authority_host: str = ""
    ca_bundle: str = ""
    reach: Reach = Reach.AUTO
    agent_address: str = ""
    private: bool = False
    fallback_sizes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    spot: bool = False
    ephemeral_os_disk: bool = False
    os_disk_type: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    storage_account: str = ""
    storage_name: str = ""
    storage_network: str = ""
    cache_group: str = CACHE_GROUP
    cache_days: float = 30.0
    keeps: bool = False
    end_of_life_days: float = 0.0

    def tagged(self, own: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """The user's tags and our `own`, which win."""
        return tuple((dict(self.tags) | own).items())
