"""The content of a managed disk or snapshot by SAS: granted for a while, and taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned, Owner
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.core.secret import Secret
from imagewright.platforms.azure.arm import Arm, Call, Json
from imagewright.platforms.azure.clients import Clients

ACCESS = "disk-access"
LONGEST = 24 * 3600.0


@contextmanager
def granted(arm: Arm, resource: str, owner: Owner, deadline: Deadline, *, write: bool = False) -> Iterator[Secret]:
    """The URL of a disk's or snapshot's content while this is held. An access that stays would keep it from deletion,
    so it is owned like a thing."""
    found = _parsed(resource)
    owned = owner.own(Owned("azure", ACCESS, resource))
    body = {
        "access": "Write" if write else "Read",
        "durationInSeconds": int(min(LONGEST, deadline.remaining() + 600)),
    }
    answer: Json = arm.do(
        f"asking for access to {found.name}",
        deadline,
        lambda c, k: _operations(c, found).begin_grant_access(found.resource_group, found.name, body, **k),
    )
    try:
        yield Secret(f"SAS of {found.name}", str(answer["accessSAS"]))
    finally:
        revoke(arm, resource, deadline)
        owner.release(owned)


@dataclass
class _Held:
    stack: ExitStack
    url: Secret
    readers: int = 0


class Readers:
    """Who reads the same disk shares one access: taking it back would end it for all of them."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    @contextmanager
    def reading(self, resource: str, owner: Owner, deadline: Deadline) -> Iterator[Secret]:
        with self._lock:
            held = self._held.get(resource)
            if held is None:
                stack = ExitStack()
                url = stack.enter_context(granted(self._arm, resource, owner, deadline))
                held = self._held[resource] = _Held(stack, url)
            held.readers += 1
        try:
            yield held.url
        finally:
            with self._lock:
                held.readers -= 1
                if not held.readers:
                    del self._held[resource]
                    held.stack.close()


def revoke(arm: Arm, resource: str, deadline: Deadline) -> None:
    arm.do(f"giving up the access to {_parsed(resource).name}", deadline, revocation(resource), result=False)


def revocation(resource: str) -> Call:
    found = _parsed(resource)
    return lambda c, k: _operations(c, found).begin_revoke_access(found.resource_group, found.name, **k)


def _operations(clients: Clients, found: ResourceId) -> Any:
    compute = clients.compute
    return compute.snapshots if found.is_a("Microsoft.Compute/snapshots") else compute.disks


def _parsed(resource: str) -> ResourceId:
    found = parse_resource_id(resource)
    if found is None:
        raise PlatformError(f"'{resource}' is not a resource id")
    return found
