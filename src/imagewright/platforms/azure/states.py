"""What is kept of a machine's disks, and how the tags of its snapshots tell it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagewright.core.plan import Generation, OsType, PurchasePlan
from imagewright.core.ports import Kept, KeptKind
from imagewright.platforms.azure import names
from imagewright.platforms.azure.arm import Json

GIB = 1 << 30
DISK, DISKS = "imagewright-disk", "imagewright-disks"
ARCHITECTURE, SECURITY, PLAN = "imagewright-architecture", "imagewright-security", "imagewright-plan"


@dataclass(frozen=True, slots=True)
class State:
    """The disks of one machine at one moment: snapshots, the OS disk's first, and what is known of the machine.

    `build` made them; two builds may make different ones under the same key.
    """

    key: str
    kind: KeptKind
    snapshots: tuple[str, ...]
    sizes: tuple[int, ...]
    os_type: OsType
    generation: Generation
    architecture: str
    security_type: str
    plan: PurchasePlan | None = None
    build: str = ""


def tags_of(state: State, note: str, disks: int, build: str, now: datetime, lifetime: timedelta) -> dict[str, str]:
    """What the snapshots of all `disks` have in common."""
    return {
        names.KEY: state.key,
        names.KIND: state.kind,
        names.NOTE: names.tag(note),
        **used_at(now, lifetime),
        names.MADE_BY: build,
        ARCHITECTURE: state.architecture,
        SECURITY: state.security_type,
        DISKS: str(disks),
    } | ({PLAN: json.dumps(dataclasses.astuple(state.plan))} if state.plan else {})


def used_at(now: datetime, lifetime: timedelta) -> dict[str, str]:
    return {names.USED: names.stamp(now), names.EXPIRES: names.stamp(now + lifetime)}


def state_of(key: str, kind: KeptKind, rows: Sequence[Json]) -> State | None:
    """The state under `key` among all snapshots; None where one of its disks is missing, or two builds made them."""
    mine = [row for row in rows if tag(row, names.KEY) == key and tag(row, names.KIND) == kind]
    mine.sort(key=lambda row: int(tag(row, DISK) or 0))
    makers = {tag(row, names.MADE_BY) for row in mine}
    if not mine or len(mine) != int(tag(mine[0], DISKS) or 1) or len(makers) > 1:
        return None
    facts, plan = mine[0]["properties"], tag(mine[0], PLAN)
    return State(
        key,
        kind,
        tuple(row["id"] for row in mine),
        tuple(int(row["properties"].get("diskSizeGB") or 0) * GIB for row in mine),
        OsType(facts.get("osType") or "Linux"),
        Generation(facts.get("hyperVGeneration") or "V1"),
        tag(mine[0], ARCHITECTURE) or "x64",
        tag(mine[0], SECURITY) or "Standard",
        PurchasePlan(*json.loads(plan)) if plan else None,
        *makers,
    )


def kept_of(rows: Sequence[Json], now: datetime) -> tuple[Kept, ...]:
    """What people are shown: one for each key. Azure tells nobody what an incremental snapshot takes."""
    kept: dict[str, Kept] = {}
    for row in rows:
        key, kind = tag(row, names.KEY), tag(row, names.KIND)
        if key and kind in tuple(KeptKind):
            created = created_at(row) or now
            kept[key] = Kept(
                key=key,
                kind=KeptKind(kind),
                note=tag(row, names.NOTE),
                size=0,
                created=created,
                used=names.moment(tag(row, names.USED)) or created,
                expires=expires_at(row),
            )
    return tuple(kept.values())


def created_at(row: Json) -> datetime | None:
    return names.moment(str(row["properties"].get("timeCreated", "")))


def expires_at(row: Json) -> datetime | None:
    return names.moment(tag(row, names.EXPIRES))


def tag(row: Json, name: str) -> str:
    return str((row.get("tags") or {}).get(name) or "")
