"""How fast time runs, and how long things really take."""

from __future__ import annotations

import math
from dataclasses import dataclass

SECONDS: dict[tuple[str, str], float] = {
    ("microsoft.compute/virtualmachines", "create"): 91,
    ("microsoft.compute/virtualmachines", "update"): 15,
    ("microsoft.compute/virtualmachines", "delete"): 30,
    ("microsoft.compute/virtualmachines", "start"): 40,
    ("microsoft.compute/virtualmachines", "deallocate"): 32,
    ("microsoft.compute/virtualmachines", "poweroff"): 17,
    ("microsoft.compute/virtualmachines", "restart"): 44,
    ("microsoft.compute/virtualmachines", "redeploy"): 106,
    ("microsoft.compute/virtualmachines", "reapply"): 1,
    ("microsoft.compute/virtualmachines", "runcommand"): 34,
    ("microsoft.compute/virtualmachines/runcommands", "create"): 5,
    ("microsoft.compute/virtualmachines/runcommands", "delete"): 5,
    ("microsoft.compute/virtualmachines/extensions", "create"): 67,
    ("microsoft.compute/virtualmachines/extensions", "delete"): 51,
    ("microsoft.compute/disks", "create"): 1,
    ("microsoft.compute/snapshots", "create"): 1.2,
    ("microsoft.compute/snapshots", "delete"): 1,
    ("microsoft.compute/images", "create"): 6,
    ("microsoft.compute/images", "delete"): 5,
    ("microsoft.compute/galleries/images/versions", "create"): 451,
    ("microsoft.compute/galleries/images/versions", "update"): 150,
    ("microsoft.compute/galleries/images/versions", "delete"): 90,
    ("microsoft.network/virtualnetworks", "create"): 10,
    ("microsoft.network/virtualnetworks", "delete"): 10,
    ("microsoft.network/virtualnetworks/subnets", "create"): 10,
    ("microsoft.network/networksecuritygroups", "create"): 10,
    ("microsoft.network/networksecuritygroups", "delete"): 10,
    ("microsoft.network/publicipaddresses", "create"): 3,
    ("microsoft.network/publicipaddresses", "delete"): 10,
    ("microsoft.network/networkinterfaces", "create"): 1,
    ("microsoft.network/networkinterfaces", "delete"): 10,
    ("microsoft.storage/storageaccounts", "create"): 20,
    ("microsoft.resources/resourcegroups", "delete"): 75,
    ("microsoft.resources/deployments", "create"): 1,
}
"""Seconds from first answer to the end, by (type, verb): recorded where facts/azure-control-plane.md or recordings
have it (VM, image, version, snapshot, extension, run command), otherwise the first Retry-After that Azure gives."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When an operation ends: after its real duration divided by `speed`, or, if `polls` is given, at that poll.

    `Pace()` is immediate: ended when first asked for (the real parts, such as a booting guest, are waited for).
    """

    speed: float = math.inf
    polls: int | None = None

    def duration(self, kind: str, verb: str) -> float:
        """Real seconds that the operation lasts here."""
        return SECONDS.get((kind.lower(), verb.lower()), 0.5) / self.speed

    def waiting(self, seconds: float, *, milliseconds: bool) -> dict[str, str]:
        """The header that asks a client to wait `seconds` of simulated time.

        Retry-After is in whole seconds; what is shorter here goes out as azure-core's `retry-after-ms`, and to
        clients that know only whole seconds as 1.
        """
        real = seconds / self.speed
        if real >= 1 and real == int(real):
            return {"Retry-After": str(int(real))}
        if milliseconds:
            return {"retry-after-ms": str(max(1, round(real * 1000)))}
        return {"Retry-After": str(max(1, math.ceil(real)))}


IMMEDIATE = Pace()
