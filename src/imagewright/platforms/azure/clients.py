"""The SDK clients: all of them are made here, each on its first use.

The SDKs take seconds to import. `warm` begins that in the background, while the template is read and staged.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import cache, cached_property
from importlib import import_module
from typing import Any

from imagewright.core.credential import Credential
from imagewright.platforms.azure import credential as credentials
from imagewright.platforms.azure.clouds import Cloud

MODULES = (
    "azure.identity",
    "azure.mgmt.resource.resources",
    "azure.mgmt.compute",
    "azure.mgmt.network",
)
"""Imported in this order: as a build needs them."""

AGENT = "imagewright"


class Clients:
    """The management clients of one subscription and the blob clients of one caller. Safe to use from threads."""

    def __init__(
        self, decision: Callable[[], Credential], cloud: Cloud, subscription: str, verify: str | bool
    ) -> None:
        self._decision = decision
        self._cloud = cloud
        self._verify = verify
        self.subscription = subscription
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}
        self._others: dict[str, Clients] = {}

    @property
    def endpoint(self) -> str:
        return self._cloud.arm

    def warm(self) -> None:
        threading.Thread(target=_import_all, name="import-azure", daemon=True).start()

    def at(self, subscription: str) -> Clients:
        """The clients of another subscription, with the same credential."""
        with self._lock:
            if subscription not in self._others:
                other = Clients(self._decision, self._cloud, subscription, self._verify)
                other.__dict__["credential"] = self.credential
                self._others[subscription] = other
            return self._others[subscription]

    @cached_property
    def credential(self) -> Any:
        with self._lock:
            return credentials.credential(self._decision(), self._cloud, self._verify)

    @property
    def compute(self) -> Any:
        return self._client("azure.mgmt.compute", "ComputeManagementClient")

    @property
    def network(self) -> Any:
        return self._client("azure.mgmt.network", "NetworkManagementClient")

    @property
    def resources(self) -> Any:
        return self._client("azure.mgmt.resource.resources", "ResourceManagementClient")

    @property
    def storage(self) -> Any:
        return self._client("azure.mgmt.storage", "StorageManagementClient")

    def blobs(self, endpoint: str) -> Any:
        """The blob service of an account, with the caller's token."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(endpoint, self.credential, **self._blob_options())

    def blob(self, url: str, *, signed: bool) -> Any:
        """One blob; `signed`: the URL carries a SAS, no token is sent."""
        from azure.storage.blob import BlobClient

        return BlobClient.from_blob_url(url, None if signed else self.credential, **self._blob_options())

    def _blob_options(self) -> dict[str, Any]:
        return {
            "connection_verify": self._verify,
            "user_agent": AGENT,
            "max_page_size": 4 << 20,
            "connection_timeout": 20,
            "read_timeout": 120,
        }

    def _client(self, module: str, name: str) -> Any:
        with self._lock:
            if module not in self._made:
                from imagewright.platforms.azure.polling import PatientRetry

                self._made[module] = getattr(import_module(module), name)(
                    self.credential,
                    self.subscription,
                    base_url=self._cloud.arm,
                    credential_scopes=[self._cloud.scope],
                    retry_policy=PatientRetry(),
                    connection_verify=self._verify,
                    connection_timeout=20,
                    read_timeout=120,
                    user_agent=AGENT,
                )
            return self._made[module]

    def renew(self) -> None:
        """Forget every token: what is asked next is asked with a new credential. What runs keeps its old client."""
        with self._lock:
            self._made.clear()
            self._others.clear()
            self.__dict__.pop("credential", None)

    def close(self) -> None:
        with self._lock:
            for client in (*self._made.values(), *self._others.values()):
                client.close()
            self._made.clear()
            self._others.clear()
            if "credential" in self.__dict__:
                self.credential.close()


@cache
def _import_all() -> None:
    """Without looking for garbage among the thousands of classes, which is a third of the time, and never again: that
    would be a third of a second when the process ends."""
    gc.disable()
    try:
        for module in MODULES:
            import_module(module)
        gc.freeze()
    finally:
        gc.enable()
