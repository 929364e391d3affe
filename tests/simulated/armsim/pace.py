"""How fast time runs, and how long things really take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Where a duration comes from: an operation that was recorded (its start and end times), the waits that Azure
    asks for (Retry-After), or nobody but us."""

    RECORDED = "recorded"
    ASKED = "Retry-After"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Duration:
    seconds: float
    source: Source


RECORDED, ASKED, ASSUMED = Source
DURATIONS: dict[tuple[str, str], Duration] = {
    ("microsoft.compute/virtualmachines", "create"): Duration(91, RECORDED),
    ("microsoft.compute/virtualmachines", "update"): Duration(15, ASSUMED),
    ("microsoft.compute/virtualmachines", "delete"): Duration(30, ASKED),
    ("microsoft.compute/virtualmachines", "start"): Duration(105, RECORDED),
    ("microsoft.compute/virtualmachines", "deallocate"): Duration(32, RECORDED),
    ("microsoft.compute/virtualmachines", "poweroff"): Duration(17, RECORDED),
    ("microsoft.compute/virtualmachines", "restart"): Duration(44, RECORDED),
    ("microsoft.compute/virtualmachines", "redeploy"): Duration(106, RECORDED),
    ("microsoft.compute/virtualmachines", "reapply"): Duration(1.5, RECORDED),
    ("microsoft.compute/virtualmachines", "runcommand"): Duration(34, RECORDED),
    ("microsoft.compute/virtualmachines/runcommands", "create"): Duration(5, ASSUMED),
    ("microsoft.compute/virtualmachines/runcommands", "delete"): Duration(5, ASSUMED),
    ("microsoft.compute/virtualmachines/extensions", "create"): Duration(67, RECORDED),
    ("microsoft.compute/virtualmachines/extensions", "delete"): Duration(50, RECORDED),
    ("microsoft.compute/disks", "create"): Duration(1, ASSUMED),
    ("microsoft.compute/snapshots", "create"): Duration(1.2, RECORDED),
    ("microsoft.compute/snapshots", "delete"): Duration(0.3, RECORDED),
    ("microsoft.compute/images", "create"): Duration(5.1, RECORDED),
    ("microsoft.compute/images", "delete"): Duration(5.1, RECORDED),
    ("microsoft.compute/galleries/images/versions", "create"): Duration(451, RECORDED),
    ("microsoft.compute/galleries/images/versions", "update"): Duration(150, RECORDED),
    ("microsoft.compute/galleries/images/versions", "delete"): Duration(90, RECORDED),
    ("microsoft.network/virtualnetworks", "create"): Duration(10, ASKED),
    ("microsoft.network/virtualnetworks", "delete"): Duration(10, ASKED),
    ("microsoft.network/virtualnetworks/subnets", "create"): Duration(10, ASKED),
    ("microsoft.network/networksecuritygroups", "create"): Duration(10, ASKED),
    ("microsoft.network/networksecuritygroups", "delete"): Duration(10, ASKED),
    ("microsoft.network/publicipaddresses", "create"): Duration(3, ASKED),
    ("microsoft.network/publicipaddresses", "delete"): Duration(10, ASKED),
    ("microsoft.network/networkinterfaces", "create"): Duration(1, ASSUMED),
    ("microsoft.network/networkinterfaces", "delete"): Duration(10, ASKED),
    ("microsoft.storage/storageaccounts", "create"): Duration(17, ASKED),
    ("microsoft.resources/resourcegroups", "delete"): Duration(75, ASSUMED),
    ("microsoft.resources/deployments", "create"): Duration(1, ASSUMED),
}
"""How long each operation lasts, from first answer to the end, by (type, verb)."""

OTHERS = 0.5
"""Seconds of all that is not in the table; assumed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When an operation ends: after its real duration divided by `speed`, or, if `polls` is given, at that poll.

    `Pace()` is immediate: ended when first asked for (the real parts, such as a booting guest, are waited for).
    """

    speed: float = math.inf
    polls: int | None = None

    def duration(self, kind: str, verb: str) -> float:
        """Real seconds that the operation lasts here."""
        found = DURATIONS.get((kind.lower(), verb.lower()))
        return (found.seconds if found else OTHERS) / self.speed

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
