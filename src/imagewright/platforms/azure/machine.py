"""One build VM in Azure: kept as snapshots while it runs, captured as a snapshot when it is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from imagewright.communicators.by_hand import ByHand
from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import BuildTimeoutError, CancelledError, MachineLostError, PlatformError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owner
from imagewright.core.plan import Generation, OsType, PurchasePlan
from imagewright.core.ports import Guest, KeptKind
from imagewright.platforms.azure import across_boots
from imagewright.platforms.azure.arm import Arm, Operation, together
from imagewright.platforms.azure.checkpoints import Checkpoints
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.incremental import snapshot
from imagewright.platforms.azure.login import Keys
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.states import State

SAVE_SECONDS = 600.0
END_SECONDS = 20 * 60.0
OFF_LATE = 9
"""Looks that a power-off does without: eight seconds. The recorded one took 17."""
LOOK_SECONDS, SPOT_LOOK_SECONDS = 120.0, 20.0
TAKEN_SECONDS, TAKEN_PAUSE = 15.0, 1.0
"""How long after a spot machine's last word Azure may still say that it runs, and how often it is asked."""


@dataclass(frozen=True, slots=True)
class Body:
    """What of a machine stays the same: its name, its disks (the OS disk first), its image's facts."""

    place: Place
    name: str
    disks: tuple[str, ...]
    sizes: tuple[int, ...]
    os_type: OsType
    generation: Generation
    architecture: str
    security_type: str
    spot: bool
    host: str
    plan: PurchasePlan | None


class StoppedError(PlatformError):
    """The guest was powered off: from inside, or by somebody else."""


class Pulse:
    """Whether the machine itself still runs: asked seldom, and raises with Azure's reason when it does not."""

    def __init__(self, arm: Arm, place: Place, name: str, clock: Clock, *, spot: bool) -> None:
        self._arm = arm
        self._place = place
        self._name = name
        self._clock = clock
        self._every = SPOT_LOOK_SECONDS if spot else LOOK_SECONDS
        self._last = clock.monotonic()
        self._spot = spot
        self.creation: Operation | None = None
        self.stopped = False
        self.over = False
        """Nothing needs the machine any more; as long as it is there it counts against the quota."""

    def check(self, every: float = LOOK_SECONDS) -> None:
        """Cheap to call often: Azure is asked when the last answer is `every` seconds old."""
        if self.stopped:
            raise _stopped()
        if self.creation is not None:
            if self.creation.ended(0):
                done, self.creation = self.creation, None
                done.wait()
            return
        if self._clock.monotonic() - self._last >= min(every, self._every):
            self.look()

    def created(self) -> None:
        """Wait until Azure says that the machine is there; raises why it is not."""
        if self.creation is not None:
            done, self.creation = self.creation, None
            done.wait()
            self._last = self._clock.monotonic()

    def why_silent(self) -> None:
        """The guest answers no more. Raises Azure's reason, if it has one; a spot machine's may come late."""
        until = self._clock.monotonic() + (TAKEN_SECONDS if self._spot else 0.0)
        self.look()
        while self._clock.monotonic() < until:
            self._clock.wait(TAKEN_PAUSE)
            self.look()

    def look(self) -> None:
        """An answer that does not come says nothing of the machine."""
        self._last = self._clock.monotonic()
        deadline = Deadline.after(self._clock, 60.0, "looking after the build VM")
        try:
            view = self._arm.find(
                "looking after the build VM",
                deadline,
                lambda c, k: c.compute.virtual_machines.instance_view(self._place.group, self._name, **k),
            )
        except (PlatformError, BuildTimeoutError):
            return
        states = [] if view is None else [status.get("code", "") for status in view.get("statuses") or []]
        power = next((state for state in states if state.startswith("PowerState/")), "")
        if view is not None and power in ("", "PowerState/running", "PowerState/starting"):
            return
        if power == "PowerState/stopped":
            self.stopped = True
            raise _stopped()
        what = "is gone" if view is None else f"is {power.partition('/')[2]}"
        if self._spot:
            self.over = True
            raise MachineLostError(
                f"the spot build VM {what}: Azure took its capacity back",
                hint="build again: the build resumes from its last checkpoint; or build without --spot",
            )
        raise PlatformError(f"the build VM {what}, and not by this build", hint="somebody else stopped or deleted it")


def _stopped() -> StoppedError:
    return StoppedError(
        "the build VM was powered off, and not by this build",
        hint="a script of the template did it, or somebody else",
    )


class AzureMachine:
    """Satisfies core.ports.Machine."""

    def __init__(
        self,
        body: Body,
        guest: Guest,
        keys: Keys,
        pulse: Pulse,
        arm: Arm,
        store: Checkpoints,
        choices: AzureChoices,
        work: Path,
        owner: Owner,
        emit: Emit,
        clock: Clock,
        captured: Callable[[bool, Deadline], None],
        ended: Callable[[Deadline], None],
    ) -> None:
        self._body = body
        self._guest = guest
        self._keys = keys
        self._pulse = pulse
        self._arm = arm
        self._store = store
        self._choices = choices
        self._work = work
        self._owner = owner
        self._emit = emit
        self._clock = clock
        self._captured = captured
        self._ended = ended

    @property
    def guest(self) -> Guest:
        return self._guest

    @property
    def name(self) -> str:
        return self._body.name

    def access(self) -> str:
        return f"{self._by_hand.command} (in the resource group {self._body.place.group})"

    def keep(self) -> None:
        self._by_hand.write_files()

    @property
    def _by_hand(self) -> ByHand:
        key, known_hosts = (self._work / f"{self._body.name}.{file}" for file in ("id_ed25519", "known_hosts"))
        return ByHand(self._keys.login(self._body.host), key, known_hosts)

    # --- checkpoints ---

    def checkpoint(self, key: str, note: str) -> None:
        """A failure costs the checkpoint only."""
        deadline = Deadline.after(self._clock, SAVE_SECONDS, "keeping a checkpoint")
        with self._surviving("no checkpoint was kept"):
            self._pulse.created()
            across_boots.keep(self._guest, deadline)
            self._store.keep(self._state(key, KeptKind.MACHINE), self._body.disks, note, self._owner, deadline)
            self._tell(f"checkpoint `{note}`")
        with self._surviving("what was made for a checkpoint stays on the disk until the end of the build"):
            across_boots.forget(self._guest, Deadline.after(self._clock, SAVE_SECONDS, "forgetting a checkpoint"))

    @contextmanager
    def _surviving(self, what: str) -> Iterator[None]:
        """The build goes on, if there is still a machine."""
        try:
            yield
        except (CancelledError, MachineLostError):
            raise
        except (PlatformError, BuildTimeoutError) as error:
            self._pulse.look()
            self._emit(Note(f"{what}: {error}", Level.WARNING, error.hint or "the build goes on"))

    def _tell(self, what: str) -> None:
        until = self._clock.now() + timedelta(days=self._choices.cache_days)
        self._emit(
            Note(
                f"{what} is kept in the resource group {self._store.group} until {until:%Y-%m-%d}",
                hint="it is billed as an incremental snapshot; `imagewright cache prune` deletes it sooner",
            )
        )

    def _state(self, key: str, kind: KeptKind) -> State:
        body = self._body
        return State(
            key, kind, (), body.sizes, body.os_type, body.generation, body.architecture, body.security_type, body.plan
        )  # fmt: skip

    # --- the end ---

    def end(self) -> None:
        """Satisfies core.ports.Ends."""
        self._ended(Deadline.after(self._clock, END_SECONDS, "deleting what was needed for validation"))

    def capture(self, key: str, deadline: Deadline) -> Disk:
        self._guest.close()
        self._pulse.created()
        together(
            lambda: self._power_off(deadline),
            lambda: self._store.prepare(self._owner, deadline) if key else None,
        )
        state = kept = self._kept(key, deadline) if key else None
        if state is None:
            state = dataclasses.replace(self._state("", KeptKind.DISK), snapshots=self._taken(deadline))
        self._captured(kept is not None, deadline)
        return disk_of(state)

    def _power_off(self, deadline: Deadline) -> None:
        """At once: deprovisioning has written everything out, and nothing runs that would have to end well."""
        if self._pulse.stopped:
            return
        place, name = self._body.place, self._body.name
        self._arm.do(
            "powering off the build VM",
            deadline,
            lambda c, k: c.compute.virtual_machines.begin_power_off(place.group, name, skip_shutdown=True, **k),
            result=False,
            late=OFF_LATE,
        )

    def _kept(self, key: str, deadline: Deadline) -> State | None:
        """The disks in the cache group; None when the cache cannot take them."""
        state = self._state(key, KeptKind.DISK)
        try:
            kept = self._store.keep(state, self._body.disks, "captured", self._owner, deadline)
        except PlatformError as error:
            self._emit(
                Note(f"the captured disk is not kept: {error}", Level.WARNING, error.hint or "the build goes on")
            )
            return None
        self._tell("the captured disk")
        return kept

    def _taken(self, deadline: Deadline) -> tuple[str, ...]:
        """The disks in the group of the build, gone with it."""
        body = self._body
        made: list[str] = together(
            *(
                lambda number=number, disk=disk: snapshot(
                    self._arm, body.place, f"{body.name}-captured-{number}", disk, deadline
                )
                for number, disk in enumerate(body.disks)
            )
        )
        return tuple(made)


def disk_of(state: State) -> Disk:
    """The captured disks as the engine knows them."""
    first, *others = [
        Disk(
            location=each,
            format="managed",
            virtual_size=size,
            os_type=state.os_type,
            generation=state.generation,
            architecture=state.architecture,
            identity=state.build and f"captured.{state.key}.{state.build}.{number}",
            security_type=state.security_type,
            plan=state.plan,
        )
        for number, (each, size) in enumerate(zip(state.snapshots, state.sizes, strict=True))
    ]
    return dataclasses.replace(first, data_disks=tuple(others))
