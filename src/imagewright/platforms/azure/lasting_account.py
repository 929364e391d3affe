"""The account that VHDs without a `uri` lie in: one for a resource group and a region, the same for every build.

It stays once a VHD is in it. Until then it is a claim of the build that makes it, and carries that build's tag: it
goes with the build, unless another one has come to use it meanwhile, and took the tag away.
"""

from __future__ import annotations

from contextlib import suppress

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit, Note
from imagewright.core.ownership import Owned, Owner
from imagewright.platforms.azure import claims, names
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sources import region
from imagewright.platforms.azure.storage_account import create_account

TYPE = "Microsoft.Storage/storageAccounts"


class LastingAccount:
    """As one build sees it. Not safe to use from several threads."""

    def __init__(self, arm: Arm, place: Place, build: str) -> None:
        self._arm = arm
        self._place = place
        self._build = build
        self._name = names.storage_account(place.subscription, place.group, region(place.location))
        self._account: Json | None = None
        self._claim: Owned | None = None

    def open(self, body: Json, owner: Owner, emit: Emit, deadline: Deadline) -> Json:
        """The account; made of `body` where it is not there."""
        if self._account is None:
            found: Json | None = self._arm.find(
                f"looking up the storage account {self._name}",
                deadline,
                lambda c, k: c.storage.storage_accounts.get_properties(self._place.group, self._name, **k),
            )
            if found is None or found["properties"].get("provisioningState") != "Succeeded":
                found = self._make(body, owner, emit, deadline)
            elif (found.get("tags") or {}).get(names.MADE_BY):
                self._untag(found, deadline)
            self._account = found
        return self._account

    def settle(self, owner: Owner, deadline: Deadline) -> None:
        """Something that stays is in it."""
        if self._claim is not None and self._account is not None:
            owner.release(self._claim)
            self._claim = None
            with suppress(PlatformError):  # whoever uses it next will do it
                self._untag(self._account, deadline)

    def _make(self, body: Json, owner: Owner, emit: Emit, deadline: Deadline) -> Json:
        emit(
            Note(
                f"the storage account {self._name} is made in {self._place.group}, and stays with the VHDs in it",
                hint="--staging-account names another one, `uri` of the target another place",
            )
        )
        self._claim = owner.own(claims.claim(self._place.resource(TYPE, self._name), self._build))
        tagged = body | {"tags": claims.tags(self._build, body["tags"])}
        return create_account(self._arm, self._place, self._name, tagged, deadline)

    def _untag(self, account: Json, deadline: Deadline) -> None:
        left = {name: text for name, text in (account.get("tags") or {}).items() if name != names.MADE_BY}
        self._arm.ask(
            f"keeping the storage account {self._name}",
            deadline,
            lambda c, k: c.storage.storage_accounts.update(self._place.group, self._name, {"tags": left}, **k),
        )
