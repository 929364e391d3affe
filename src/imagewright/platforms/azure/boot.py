"""From an image, a captured disk or a checkpoint to a machine whose guest answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagewright.core.choices import Reach
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import PlatformError, QuotaError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owner
from imagewright.core.plan import ExactSource, Plan
from imagewright.core.ports import Guest
from imagewright.core.secret import Secret
from imagewright.platforms.azure import across_boots, errors, run_command, temporary_image, vm_body
from imagewright.platforms.azure.arm import Arm, Call, Json, together
from imagewright.platforms.azure.checkpoints import Checkpoints
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.login import Keys, new_keys
from imagewright.platforms.azure.machine import AzureMachine, Body, Pulse
from imagewright.platforms.azure.network import Interface
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sizes import Candidate
from imagewright.platforms.azure.states import State
from imagewright.platforms.azure.storage import Storage
from imagewright.platforms.azure.vm_body import Start, Wishes
from imagewright.platforms.azure.watched import Watched
from imagewright.platforms.azure.way import Way

BOOT_SECONDS = 20 * 60.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What of an image goes over to a machine's own disks."""

    start: Start
    sizes: tuple[int, ...]
    source: ExactSource | Disk | State


StartIn = Callable[[str, Deadline], Start]
"""Makes what a machine in a zone starts from."""


class Boot:
    """Boots machines of one build."""

    def __init__(
        self,
        arm: Arm,
        choices: AzureChoices,
        way: Way,
        storage: Storage,
        store: Checkpoints,
        work: Path,
        emit: Emit,
        clock: Clock,
        captured: Callable[[Plan, bool, Deadline], None],
        validated: Callable[[Plan, Deadline], None],
    ) -> None:
        self._arm = arm
        self._choices = choices
        self._way = way
        self._storage = storage
        self._store = store
        self._work = work
        self._emit = emit
        self._clock = clock
        self._captured = captured
        self._validated = validated
        self._pulses: dict[str, Pulse] = {}
        """By the name of the machine."""

    # --- what a machine starts from ---

    def from_source(
        self, source: ExactSource, plan: Plan, place: Place, tries: Sequence[Candidate], owner: Owner,
        deadline: Deadline,
    ) -> AzureMachine:  # fmt: skip
        gib = 1 << 30
        sizes = (
            plan.machine.os_disk_size_gb * gib or source.size,
            *(size * gib for size in plan.machine.data_disk_sizes_gb),
        )
        facts = Facts(Start.of(source), sizes, source)
        return self._boot(facts, lambda _zone, _deadline: facts.start, plan, place, tries, owner, deadline)

    def from_captured(
        self, disk: Disk, plan: Plan, place: Place, tries: Sequence[Candidate], owner: Owner, deadline: Deadline
    ) -> AzureMachine:
        """A second machine from a captured disk. It is provisioned like any machine from the image, where a managed
        image can hold it (none for NVMe, trusted launch or arm64); otherwise its disk is attached and the VM agent
        lets us in."""
        sizes = (disk.virtual_size, *(each.virtual_size for each in disk.data_disks))
        facts = Facts(Start(security_type=disk.security_type, plan=disk.plan), sizes, disk)

        attached = (
            disk.security_type == "TrustedLaunch"
            or disk.architecture != "x64"
            or not all(candidate.scsi for candidate in tries)
        )
        images: list[str] = []

        def start(zone: str, deadline: Deadline) -> Start:
            held = (disk.location, *(each.location for each in disk.data_disks))
            if attached:
                return self._disks(facts, held, place, zone, deadline)
            if not images:
                images.append(temporary_image.make(self._arm, place, disk, held, deadline))
            return Start(image={"id": images[0]}, plan=disk.plan)

        return self._boot(facts, start, plan, place, tries, owner, deadline)

    def from_state(
        self, state: State, plan: Plan, place: Place, tries: Sequence[Candidate], owner: Owner, deadline: Deadline
    ) -> AzureMachine:
        facts = Facts(Start(security_type=state.security_type, plan=state.plan), state.sizes, state)
        return self._boot(
            facts,
            lambda zone, within: self._disks(facts, state.snapshots, place, zone, within),
            plan,
            place,
            tries,
            owner,
            deadline,
        )

    def _disks(self, facts: Facts, snapshots: Sequence[str], place: Place, zone: str, deadline: Deadline) -> Start:
        label = fresh_name(6)
        made = together(
            *(
                lambda number=number, each=each: self._disk(place, f"iw-{label}-disk-{number}", each, zone, deadline)
                for number, each in enumerate(snapshots)
            )
        )
        first, *others = (row["id"] for row in made)
        return Start(
            disk=first, data_disks=tuple(others), security_type=facts.start.security_type, plan=facts.start.plan
        )

    def _disk(self, place: Place, name: str, snapshot: str, zone: str, deadline: Deadline) -> Json:
        """In the zone of its machine: no other can take it."""
        body = place.body(
            {"creationData": {"createOption": "Copy", "sourceResourceId": snapshot}},
            sku={"name": self._choices.os_disk_type or "StandardSSD_LRS"},
            **({"zones": [zone]} if zone else {}),
        )
        made: Json = self._arm.do(
            "making a disk of a snapshot",
            deadline,
            lambda c, k: c.compute.disks.begin_create_or_update(place.group, name, body, **k),
        )
        return made

    # --- the machine itself ---

    def _boot(
        self, facts: Facts, start: StartIn, plan: Plan, place: Place,
        tries: Sequence[Candidate], owner: Owner, deadline: Deadline,
    ) -> AzureMachine:  # fmt: skip
        within = deadline.sooner(
            BOOT_SECONDS,
            "the first boot of the build VM",
            "the image needs the Azure agent and cloud-init",
            PlatformError,
        )
        return self._first_that_can(facts, start, self._way.reach(plan, within), plan, place, tries, owner, within)

    def _first_that_can(
        self, facts: Facts, start: StartIn, reach: Reach, plan: Plan, place: Place, tries: Sequence[Candidate],
        owner: Owner, deadline: Deadline,
    ) -> AzureMachine:  # fmt: skip
        """The first size and zone that has capacity. Each gets a network of its own: Azure reserves the interface of
        a machine that failed for three minutes. Disks stay for the next machine in their zone."""
        label = f"iw-{fresh_name(6)}"
        ready: dict[str, Start] = {}
        for number, candidate in enumerate(tries, start=1):
            name, zone = label if number == 1 else f"{label}-{number}", candidate.zone
            self._emit(Note(f"booting {_shown(facts.source)} on {candidate} in {place.location}"))
            interface, made, _ = together(
                lambda name=name: self._way.interface(plan, place, name, reach, deadline),  # type: ignore[misc]
                lambda zone=zone: ready.get(zone) or start(zone, deadline),  # type: ignore[misc]
                lambda: self._discard_over(place, deadline),
            )
            if not isinstance(interface, Interface) or not isinstance(made, Start):
                raise AssertionError("unreachable")
            ready[zone] = made
            try:
                return self._machine(facts, made, interface, reach, name, candidate, plan, place, owner, deadline)
            except PlatformError as error:
                short = isinstance(error, QuotaError) and errors.code_in(error) in errors.CAPACITY
                if not short or number == len(tries):
                    self._pulses[name].over = True
                    raise
                self._emit(
                    Note(f"{candidate} cannot be had: {error.message}", Level.WARNING, f"trying {tries[number]}")
                )
                self._discard(place, name, deadline)
        raise PlatformError("there is no VM size to try", hint="give one (vmSize)")

    def _let_go(self, name: str, place: Place, plan: Plan, kept: bool, deadline: Deadline) -> None:
        """The disk is captured, in the cache if it was `kept`. A machine that is powered off is billed like any."""
        self._pulses[name].over = True
        self._captured(plan, kept, deadline)
        if not kept and not plan.validation.steps:
            self._without_harm(
                lambda: self._arm.send("deleting the build VM", deadline, _deletion(place, name)), deadline
            )

    def _discard_over(self, place: Place, deadline: Deadline) -> None:
        """A spot machine that Azure took back is deallocated, others were captured or never let us in."""
        for name in [name for name, pulse in self._pulses.items() if pulse.over]:
            del self._pulses[name]
            self._without_harm(lambda name=name: self._discard(place, name, deadline), deadline)  # type: ignore[misc]

    def _without_harm(self, discard: Callable[[], None], deadline: Deadline) -> None:
        """What is deleted early only saves money: the end of the build deletes it anyway, or says what is left."""
        try:
            discard()
        except PlatformError as error:
            deadline.check()
            self._emit(Note(f"a machine that is not needed any more stays: {error}", Level.WARNING, error.hint))

    def _discard(self, place: Place, name: str, deadline: Deadline) -> None:
        """A machine that failed to be made still holds its disks."""
        try:
            self._arm.do("deleting a machine that is not needed any more", deadline, _deletion(place, name))
        except PlatformError as error:
            if not errors.is_gone(error):
                raise

    def _machine(
        self, facts: Facts, start: Start, interface: Interface, reach: Reach, name: str, candidate: Candidate,
        plan: Plan, place: Place, owner: Owner, deadline: Deadline,
    ) -> AzureMachine:  # fmt: skip
        keys, wishes = new_keys(), self._wishes(facts, plan)
        body = vm_body.body(place, name, candidate, start, wishes, interface.id, keys)
        pulse = self._pulses[name] = Pulse(self._arm, place, name, self._clock, spot=wishes.spot)
        pulse.creation = self._arm.begin(
            f"creating the build VM ({candidate})",
            deadline,
            lambda c, k: c.compute.virtual_machines.begin_create_or_update(place.group, name, body, **k),
            result=False,
        )
        if start.image is None:
            pulse.created()
            self._admit(place, name, keys, deadline)
        reached = self._way.guest(
            place, name, keys, interface.host, reach, pulse,
            lambda: self._storage.staging(place, plan, owner, deadline), deadline,
        )  # fmt: skip
        guest = Watched(reached, pulse.why_silent)
        _wait_for_cloud_init(guest, deadline)
        if isinstance(facts.source, State):
            across_boots.bring_back(guest, deadline)
        disks = (
            (start.disk, *start.data_disks)
            if start.image is None
            else tuple(
                place.resource("Microsoft.Compute/disks", disk)
                for disk in (
                    vm_body.os_disk_name(name),
                    *(f"{name}-data-{lun}" for lun in range(len(wishes.data_disk_sizes_gb))),
                )
            )
        )
        source = facts.source
        return AzureMachine(
            Body(
                place, name, disks, facts.sizes, source.os_type, source.generation, source.architecture,
                start.security_type, wishes.spot, interface.host, start.plan,
            ),
            guest, keys, pulse, self._arm, self._store, self._choices, self._work, owner, self._emit, self._clock,
            lambda kept, within: self._let_go(name, place, plan, kept, within),
            lambda within: self._validated(plan, within),
        )  # fmt: skip

    def _wishes(self, facts: Facts, plan: Plan) -> Wishes:
        machine, fresh = plan.machine, isinstance(facts.source, ExactSource)
        captured = isinstance(facts.source, Disk) or plan.validation.source_only
        return Wishes(
            os_disk_size_gb=machine.os_disk_size_gb if fresh else 0,
            data_disk_sizes_gb=machine.data_disk_sizes_gb if fresh else (),
            identities=machine.identities,
            spot=self._choices.spot,
            ephemeral=self._choices.ephemeral_os_disk and captured,
            os_disk_type=self._choices.os_disk_type,
            generation=facts.source.generation,
        )

    def _admit(self, place: Place, name: str, keys: Keys, deadline: Deadline) -> None:
        """A disk that is attached is not provisioned: the VM agent puts our keys in. The name is a new one: which
        scripts the agent has run is written on the disk, and none is run twice."""
        script = run_command.Script(keys.admit_script(), (Secret("HOST_KEY", keys.host_secret()),))
        run_command.run(self._arm, place, name, f"iw-admit-{fresh_name(8)}", script, deadline)


def _deletion(place: Place, name: str) -> Call:
    return lambda c, k: c.compute.virtual_machines.begin_delete(place.group, name, force_deletion=True, **k)


def _wait_for_cloud_init(guest: Guest, deadline: Deadline) -> None:
    from imagewright.core.actions import Inline, Run, Shell

    script = "#!/bin/sh\ncommand -v cloud-init >/dev/null || exit 0\ncloud-init status --wait\n"
    lines: list[str] = []
    code = guest.run(Run(Inline(script), Shell.SH), script.encode(), lambda line, _: lines.append(line), deadline)
    said = " ".join(lines)
    if code == 1 or "error" in said.split():
        raise PlatformError(
            f"cloud-init failed at the first boot: {said.strip(' .')}",
            hint="see /var/log/cloud-init.log in the guest",
        )


def _shown(source: ExactSource | Disk | State) -> str:
    match source:
        case ExactSource():
            return f"{source.source} {source.exact_version}".strip()
        case Disk():
            return "the captured disk"
        case State():
            return "a checkpoint"
