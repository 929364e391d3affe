"""Checkpoints: incremental snapshots in one long-lived group, found by their tags, gone after their expiry."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import ImagewrightError, PlatformError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned, Owner
from imagewright.core.ports import CacheLimits, Kept, KeptKind
from imagewright.platforms.azure import claims, names, states
from imagewright.platforms.azure.arm import Arm, Json, together
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.deletion import EMPTY_GROUP
from imagewright.platforms.azure.errors import is_gone, is_taken
from imagewright.platforms.azure.incremental import SNAPSHOT, snapshot
from imagewright.platforms.azure.marks import LOOK_SECONDS, TROUBLE, Marks
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sources import region
from imagewright.platforms.azure.states import State, created_at, expires_at, kept_of, state_of, tag, tags_of, used_at

ABANDONED = timedelta(hours=1)
"""After so long a snapshot that belongs to no whole state is one that a build died over."""


class Checkpoints:
    """Satisfies core.ports.Cache. `arm` is made on the first use."""

    def __init__(
        self,
        arm: Arm,
        choices: AzureChoices,
        clock: Clock,
        location: str = "",
        build: str = "",
        emit: Emit = lambda _event: None,
    ) -> None:
        self._arm = arm
        self._choices = choices
        self._clock = clock
        self._location = location
        self._build = build
        self._emit = emit
        self._rows: tuple[Json, ...] | None = None
        self._lock = threading.Lock()
        self._told = False
        self._marks = Marks(arm, choices, clock, self._tell)
        self._place: Place | None = None
        self._empty: Owned | None = None

    @property
    def group(self) -> str:
        return self._choices.cache_group

    @property
    def _lifetime(self) -> timedelta:
        return timedelta(days=self._choices.cache_days)

    # --- the port ---

    def list(self) -> Sequence[Kept]:
        return tuple(sorted(self._kept(), key=lambda one: one.created))

    def prune(self, limits: CacheLimits) -> Sequence[Kept]:
        """What has expired goes in any case. Azure tells nobody what an incremental snapshot is billed for: of the
        sizes only the limit 0 has a meaning, nothing may stay."""
        now = self._clock.now()
        left = sorted(self._kept(), key=lambda one: one.used)
        doomed = [one for one in left if limits.size == 0 or _over_age(one, limits, now)]
        for one in doomed:
            self.discard(one.key)
        return tuple(doomed)

    def has(self, key: str) -> bool:
        kept = any(self.find(key, kind) is not None for kind in (KeptKind.MACHINE, KeptKind.DISK))
        return kept or self._marks.has(key)

    def mark(self, key: str, note: str) -> None:
        self._marks.add(key)

    @contextmanager
    def using(self, keys: Sequence[str]) -> Iterator[None]:
        """A prune looks at what was used last: what this build resumes from has just been used."""
        yield

    # --- what builds do ---

    def find(self, key: str, kind: KeptKind) -> State | None:
        """The state under `key`, if all of its disks are there, finished and not expired."""
        rows = self._seen()
        state = state_of(key, kind, rows)
        usable = state and all(self._usable(row) for row in rows if row["id"] in state.snapshots)
        return state if usable else None

    def prepare(self, owner: Owner, deadline: Deadline) -> None:
        """Have the group there before it is needed; what is wrong with it, `keep` will say."""
        with contextlib.suppress(PlatformError):
            self._open(owner, deadline)

    def keep(self, state: State, disks: Sequence[str], note: str, owner: Owner, deadline: Deadline) -> State:
        """Snapshots of `disks` under `state.key`; owned until they are whole. What another build has kept under the
        same key meanwhile is as good."""
        place = self._open(owner, deadline)
        tags = tags_of(state, note, len(disks), self._build, self._clock.now(), self._lifetime)
        place = dataclasses.replace(place, tags=self._choices.tagged(tags))
        state = dataclasses.replace(state, build=self._build)
        held = [place.resource(SNAPSHOT, names.snapshot(state.key, number)) for number in range(len(disks))]
        owned = [owner.own(claims.claim(each, self._build)) for each in held]
        try:
            self._take(state.key, disks, place, deadline)
        except PlatformError as error:
            if not is_taken(error):
                raise
            there = self._instead(state, error)
            if there is None:
                self._take(state.key, disks, place, deadline)
            else:
                held, state = list(there.snapshots), there
        for each in (*owned, self._empty):
            if each is not None:
                owner.release(each)
        self._forget()
        return dataclasses.replace(state, snapshots=tuple(held))

    def _take(self, key: str, disks: Sequence[str], place: Place, deadline: Deadline) -> None:
        together(
            *(
                lambda number=number, disk=disk: snapshot(
                    self._arm,
                    dataclasses.replace(place, tags=(*place.tags, (states.DISK, str(number)))),
                    names.snapshot(key, number),
                    disk,
                    deadline,
                )
                for number, disk in enumerate(disks)
            )
        )

    def _instead(self, state: State, refusal: PlatformError) -> State | None:
        """What stands under the names already; None when it was of no use to anybody and is gone now."""
        self._forget()
        there = self.find(state.key, state.kind)
        if there is None:
            rows = [row for row in self._found() if tag(row, names.KEY) == state.key]
            if not all(self._useless(row) for row in rows):
                raise PlatformError(
                    "another build is keeping the same state now", hint="this one goes on without it"
                ) from refusal
            self.discard(state.key)
        return there

    def _useless(self, row: Json) -> bool:
        """Of a state that is not whole: it failed, its time is over, or nobody can still be at it."""
        created, expires, now = created_at(row), expires_at(row), self._clock.now()
        return (
            row["properties"].get("provisioningState") == "Failed"
            or (expires is not None and expires <= now)
            or (created is not None and now - created > ABANDONED)
        )

    def touch(self, state: State) -> None:
        """It was used now; it lives on for as long as a fresh one. Trouble with that is said and no more."""
        fresh = used_at(self._clock.now(), self._lifetime)
        for row in self._seen():
            if row["id"] in state.snapshots:
                tags = (row.get("tags") or {}) | fresh
                try:
                    self._mark(row["name"], tags, self._deadline())
                except TROUBLE as error:
                    self._tell(error)

    def _mark(self, name: str, tags: Json, deadline: Deadline) -> None:
        self._arm.send(
            "marking a checkpoint as used",
            deadline,
            lambda c, k: c.compute.snapshots.begin_update(self.group, name, {"tags": tags}, **k),
        )

    def discard(self, key: str) -> None:
        deadline = self._deadline()
        rows = [row for row in self._found() if tag(row, names.KEY) == key]
        together(
            *(
                lambda name=row["name"]: self._arm.do(
                    f"deleting the checkpoint {name}",
                    deadline,
                    lambda c, k: c.compute.snapshots.begin_delete(self.group, name, **k),
                )
                for row in rows
            )
        )
        with self._lock:
            self._rows = tuple(row for row in self._rows or () if row not in rows)

    # --- inside ---

    def _open(self, owner: Owner, deadline: Deadline) -> Place:
        """The group, made if it is not there; until something is in it, it is owned."""
        if self._place is not None:
            return self._place
        place = Place(self._arm.subscription, self.group, self._location, ())
        found = self._arm.find(
            f"looking up the cache group {self.group}",
            deadline,
            lambda c, k: c.resources.resource_groups.get(self.group, **k),
        )
        if found is None:
            self._empty = owner.own(Owned("azure", EMPTY_GROUP, place.id))
            ours = {"createdBy": "Imagewright", "imagewright-cache": "1"}
            body = {"location": self._location, "tags": dict(self._choices.tagged(ours))}
            self._arm.ask(
                f"creating the cache group {self.group}",
                deadline,
                lambda c, k: c.resources.resource_groups.create_or_update(self.group, body, **k),
            )
        self._place = place
        return place

    def _found(self) -> tuple[Json, ...]:
        """Every snapshot in the group, listed once per build."""
        with self._lock:
            if self._rows is None:
                self._rows = self._look()
            return self._rows

    def _seen(self) -> tuple[Json, ...]:
        """What a build sees of it: nothing where it cannot be read, for a cache is worth no failure."""
        try:
            return self._found()
        except TROUBLE as error:
            self._tell(error)
            with self._lock:
                self._rows = ()
            return ()

    def _tell(self, error: ImagewrightError) -> None:
        """Once per build."""
        if not self._told:
            self._told = True
            self._emit(
                Note(f"no use is made of the cache: {error}", Level.WARNING, error.hint or "the build goes on")
            )

    def _forget(self) -> None:
        with self._lock:
            self._rows = None

    def _look(self) -> tuple[Json, ...]:
        try:
            return tuple(
                self._arm.all(
                    f"listing the checkpoints in {self.group}",
                    self._deadline(),
                    lambda c, k: c.compute.snapshots.list_by_resource_group(self.group, **k),
                )
            )
        except PlatformError as error:
            if is_gone(error):
                return ()
            raise

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, LOOK_SECONDS, "looking after the checkpoints")

    def _usable(self, row: Json) -> bool:
        expires = expires_at(row)
        here = not self._location or region(row["location"]) == region(self._location)
        ready = row["properties"].get("provisioningState") == "Succeeded"
        return ready and here and (expires is None or expires > self._clock.now())

    def _kept(self) -> tuple[Kept, ...]:
        return kept_of(self._found(), self._clock.now())


def _over_age(one: Kept, limits: CacheLimits, now: datetime) -> bool:
    if one.expires is not None and one.expires <= now:
        return True
    return limits.age is not None and (now - one.used).total_seconds() > limits.age
