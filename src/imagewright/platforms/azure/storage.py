"""Storage accounts: one of our own for a build, made when it is needed, or one that is there.

No shared keys, no public blobs, TLS 1.2 or newer. Data is reached with the caller's credential; the guest gets a user
delegation SAS, which is a Secret and is never shown.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from imagewright.core.address import bare
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.errors import AuthenticationError, ImagewrightError, PlatformError
from imagewright.core.events import Emit
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import Plan
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.secret import Secret
from imagewright.platforms.azure import errors, names
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.lasting_account import LastingAccount
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.storage_account import account_body, create_account

CONTAINER = "imagewright"
CONTAINER_KIND = "container"
ROLE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""A role assignment, or a new account's name, is not known everywhere at once."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of blobs, and the key with which SAS are made (the service's own object)."""

    arm: Arm
    endpoint: str
    account: str
    name: str
    key: Any
    clock: Clock
    seconds: float

    def url(self, blob: str) -> str:
        return f"{self.endpoint.rstrip('/')}/{self.name}/{blob}"

    def put(self, blob: str, content: bytes) -> None:
        _blob(
            "uploading to the storage account",
            lambda: self.arm.clients.blob(self.url(blob), signed=False).upload_blob(content, overwrite=True),
        )

    def put_empty_log(self, blob: str) -> None:
        _blob(
            "uploading to the storage account",
            lambda: self.arm.clients.blob(self.url(blob), signed=False).create_append_blob(),
        )

    def read_from(self, blob: str, offset: int) -> bytes:
        """The bytes of a growing blob from `offset` on; empty where there are none yet."""

        def read() -> bytes:
            client = self.arm.clients.blob(self.url(blob), signed=False)
            size = int(client.get_blob_properties().size)
            if size <= offset:
                return b""
            data: bytes = client.download_blob(offset=offset, length=size - offset).readall()
            return data

        try:
            data: bytes = _blob("reading from the storage account", read)
        except PlatformError as error:
            if errors.is_gone(error) or errors.code_in(error) == "BlobNotFound":
                return b""
            raise
        return data

    def sas(self, blob: str, *, write: bool) -> Secret:
        """The blob's URL with a signature that lives as long as the build. `write`: an append blob to write to."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        now = self.clock.now()
        permission = BlobSasPermissions(read=True, write=write, add=write, create=write)
        signature = generate_blob_sas(
            self.account,
            self.name,
            blob,
            user_delegation_key=self.key,
            permission=permission,
            start=now - timedelta(minutes=5),
            expiry=now + timedelta(seconds=self.seconds),
        )
        return Secret(f"SAS of {blob}", f"{self.url(blob)}?{signature}")


class Storage:
    """The accounts of one build."""

    def __init__(self, arm: Arm, choices: AzureChoices, clock: Clock) -> None:
        self._arm = arm
        self._choices = choices
        self._clock = clock
        self._lock = threading.Lock()
        self._staging: Container | None = None
        self._lasting: LastingAccount | None = None
        self._signed: dict[str, str] = {}

    def unsigned(self, url: str) -> str:
        """`url` without its signature. The signature is remembered for `blob`, here and nowhere else."""
        plain = bare(url)
        if "sig=" in url:
            self._signed[plain] = url
        return plain

    def blob(self, plain: str) -> Any:
        """The client of a blob: with the signature that its URL came with, or else with the caller's credential."""
        return self._arm.clients.blob(self._signed.get(plain, plain), signed=plain in self._signed)

    def staging(self, place: Place, plan: Plan, owner: Owner, deadline: Deadline) -> Container:
        """Where scripts wait for the guest, and their output for us."""
        with self._lock:
            if self._staging is None:
                account = self._account(place, deadline)
                name = CONTAINER
                if self._choices.storage_account:
                    name = f"imagewright-{fresh_name(8)}"
                    endpoint = str(account["properties"]["primaryEndpoints"]["blob"]).rstrip("/")
                    owner.own(Owned("azure", CONTAINER_KIND, f"{endpoint}/{name}"))
                self._staging = self._container(account, name, plan.timeout, deadline)
            return self._staging

    def delete_container(self, url: str) -> None:
        endpoint, _, name = url.rpartition("/")
        try:
            _blob("deleting a container", lambda: self._arm.clients.blobs(endpoint).delete_container(name))
        except PlatformError as error:
            if not errors.is_gone(error):
                raise

    def lasting(self, place: Place, container: str, build: str, owner: Owner, emit: Emit, deadline: Deadline) -> str:
        """The URL of a container that outlives the build, in an account that is the same for every build."""
        place = replace(place, tags=self._choices.tagged(dict(place.tags)))
        with self._lock:
            if self._choices.storage_account:
                account = self._account(place, deadline)
            else:
                self._lasting = self._lasting or LastingAccount(self._arm, place, build)
                account = self._lasting.open(account_body(place, self._choices), owner, emit, deadline)
        endpoint = str(account["properties"]["primaryEndpoints"]["blob"])
        self._make(endpoint, container, deadline)
        return f"{endpoint.rstrip('/')}/{container}"

    def settle(self, owner: Owner, deadline: Deadline) -> None:
        """What is lasting holds something now: it stays, whatever comes of the build."""
        with self._lock:
            if self._lasting is not None:
                self._lasting.settle(owner, deadline)

    def _account(self, place: Place, deadline: Deadline) -> Json:
        if self._choices.storage_account:
            given = parse_resource_id(self._choices.storage_account)
            if given is None or not given.is_a("Microsoft.Storage/storageAccounts"):
                raise PlatformError(
                    f"'{self._choices.storage_account}' is not the id of a storage account",
                    hint="/subscriptions/.../resourceGroups/.../providers/Microsoft.Storage/storageAccounts/NAME",
                )
            found: Json = self._arm.at(given.subscription).ask(
                f"looking up the storage account {given.name}",
                deadline,
                lambda c, k: c.storage.storage_accounts.get_properties(given.resource_group, given.name, **k),
            )
            return found
        name = self._choices.storage_name or names.storage_account()
        return create_account(self._arm, place, name, account_body(place, self._choices), deadline)

    def _container(self, account: Json, name: str, build_seconds: float, deadline: Deadline) -> Container:
        """Its signatures are good for `build_seconds` and an hour; a key to sign with lives seven days at most."""
        endpoint = str(account["properties"]["primaryEndpoints"]["blob"])
        seconds = min(build_seconds + 3600.0, 7 * 86400.0 - 600.0)
        self._make(endpoint, name, deadline)
        now = self._clock.now()
        key = _blob(
            "asking for a key to sign with",
            lambda: self._arm.clients.blobs(endpoint).get_user_delegation_key(
                now - timedelta(minutes=5), now + timedelta(seconds=seconds)
            ),
        )
        return Container(self._arm, endpoint, account["name"], name, key, self._clock, seconds)

    def _make(self, endpoint: str, container: str, deadline: Deadline) -> None:
        """Create the container; a role that was granted a moment ago is waited for."""
        for seconds in (*ROLE_PAUSES, None):
            try:
                _blob(
                    "creating a container in the storage account",
                    lambda: self._arm.clients.blobs(endpoint).create_container(container),
                )
                return
            except ImagewrightError as error:
                if errors.code_in(error) == "ContainerAlreadyExists":
                    return
                unready = isinstance(error, AuthenticationError) or errors.code_in(error) == "ResourceNotFound"
                if seconds is None or not unready:
                    raise
            deadline.wait(seconds)


def _blob(doing: str, call: Any) -> Any:
    """One call of the data plane; a vendor's error becomes ours."""
    from azure.core.exceptions import AzureError

    try:
        return call()
    except AzureError as error:
        raise errors.translate(error, doing) from error
