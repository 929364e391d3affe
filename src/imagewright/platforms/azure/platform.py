"""The Azure platform: build VMs in the user's own subscription, with nothing of the AIB service."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from typing import assert_never

from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic, PlatformError, Severity
from imagewright.core.events import Emit, Level, Note
from imagewright.core.origin import Origin
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import (
    DiskFile,
    ExactSource,
    MachineSpec,
    ManagedImageTarget,
    OsType,
    Plan,
    SharedImageTarget,
    Source,
    Target,
    VhdTarget,
)
from imagewright.core.ports import SOURCE_TAG, KeptKind
from imagewright.core.result import RunOutput
from imagewright.platforms import Settings
from imagewright.platforms.azure import (
    data_rights,
    gallery,
    managed_image,
    preflight,
    sizes,
    sources,
    upload,
    vhd_blob,
)
from imagewright.platforms.azure.arm import Arm, together
from imagewright.platforms.azure.boot import Boot
from imagewright.platforms.azure.checkpoints import Checkpoints
from imagewright.platforms.azure.connection import connect, subscription_of
from imagewright.platforms.azure.deletion import Deletion
from imagewright.platforms.azure.machine import AzureMachine, disk_of
from imagewright.platforms.azure.polling import Pauses, quick_then_slow
from imagewright.platforms.azure.sizes import Candidate
from imagewright.platforms.azure.snapshots import Snapshots
from imagewright.platforms.azure.sources import region
from imagewright.platforms.azure.staging_group import StagingGroup
from imagewright.platforms.azure.storage import Storage
from imagewright.platforms.azure.way import Way

WINDOWS = ("PowerShell", "WindowsRestart", "WindowsUpdate")


class AzurePlatform:
    """Satisfies core.ports.Platform. One instance serves one build (or one command)."""

    name = "azure"

    def __init__(self, settings: Settings, emit: Emit, clock: Clock, pauses: Pauses = quick_then_slow) -> None:
        self._settings = settings
        self._choices = settings.azure
        self._emit = emit
        self._clock = clock
        self._pauses = pauses
        self._lock = threading.Lock()
        self._location = settings.location
        self._tries: tuple[Candidate, ...] = ()
        self._machines = 0
        self._elsewhere = False
        self._deletion = Deletion(self._at, lambda: self._storage, clock)

    @cached_property
    def _arm(self) -> Arm:
        return Arm(connect(self._settings), self._pauses)

    def _at(self, subscription: str) -> Arm:
        """What a ledger lists can be deleted where no option names a subscription."""
        if not subscription_of(self._settings):
            self._settings = replace(self._settings, subscription_id=subscription)
        return self._arm.at(subscription)

    def close(self) -> None:
        """Satisfies core.ports.Closes."""
        if "_arm" in self.__dict__:
            self._arm.clients.close()

    @cached_property
    def cache(self) -> Checkpoints:
        return Checkpoints(
            self._arm, self._choices, self._clock, self._location, self._settings.work.name, self._emit
        )

    @cached_property
    def _group(self) -> StagingGroup:
        return StagingGroup(self._arm, self._choices, self._settings.work.name, self._clock)

    @cached_property
    def _storage(self) -> Storage:
        return Storage(self._arm, self._choices, self._clock)

    @cached_property
    def _way(self) -> Way:
        return Way(self._arm, self._choices, self._emit)

    @cached_property
    def _boot(self) -> Boot:
        return Boot(
            self._arm, self._choices, self._way, self._storage, self.cache, self._settings.work, self._emit,
            self._clock, self._captured, self._validated,
        )  # fmt: skip

    # --- before anything is created ---

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        yield from self.check_targets(plan)
        if isinstance(plan.source, DiskFile):
            yield error(
                "disk-on-azure", "a disk file cannot be the source of a build in Azure", plan.origin,
                "build it with `--platform local`",
            )  # fmt: skip
        for step in (*plan.steps, *plan.validation.steps):
            if step.type in WINDOWS:
                yield error(
                    "windows-on-azure", f"{step.type} needs a Windows build VM, which is not built yet", step.origin,
                    "build it with the Azure Image Builder service for now: it takes this template",
                )  # fmt: skip

    def check_targets(self, plan: Plan) -> Iterable[Diagnostic]:
        """Satisfies core.ports.Publisher, with `admit`, `place_of`, `publish` and `delete`."""
        self._location = plan.machine.location or self._settings.location
        self._arm.clients.warm()
        if not plan.machine.location:
            yield error("no-location", "no region of Azure is given", plan.origin, "`location` of the template")
        for target in plan.targets:
            if isinstance(target, VhdTarget) and not target.uri and not plan.azure.resource_group:
                yield error(
                    "no-place-for-vhd", f"there is no place for the VHD of {target.run_output_name}",
                    target.origin or plan.origin, "give `uri` in the template, or --resource-group",
                )  # fmt: skip

    def admit(self, source: ExactSource, plan: Plan, deadline: Deadline) -> None:
        preflight.targets(source, plan, self._arm, deadline)

    def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
        """Also the preflight: sizes, quota, terms, targets."""
        found: list[ExactSource] = []
        offered: list[preflight.Offers] = []
        possible = sizes.possible(plan.machine.vm_size, self._choices)
        together(
            lambda: found.append(sources.resolve(source, plan.machine.location, self._arm, deadline)),
            lambda: offered.append(preflight.offers(plan.machine.location, possible, self._arm, deadline)),
            lambda: self._way.find_address(plan, deadline),
        )
        exact = found[0]
        if exact.os_type is not OsType.LINUX:
            raise PlatformError(
                f"{exact} is a Windows image, which is not built yet",
                hint="build it with the Azure Image Builder service for now",
            )
        self._tries = preflight.examine(exact, plan, self._choices, offered[0], self._arm, deadline)
        if (note := data_rights.look(plan, self._choices, self._arm, deadline)) is not None:
            self._emit(note)
        if self._choices.keeps:
            self._emit(
                Note(
                    f"checkpoints and the captured disk are kept as incremental snapshots in the resource group "
                    f"{self._choices.cache_group} for {self._choices.cache_days:g} days after their last use",
                    hint="they are billed by what they hold; `--cache none` keeps none",
                )
            )
        return exact

    def machine_facts(self, source: ExactSource, machine: MachineSpec) -> tuple[tuple[str, str], ...]:
        return (
            ("platform", "azure.v1"),
            ("location", region(machine.location)),
            ("architecture", source.architecture),
            ("generation", source.generation.value),
            ("security", source.security_type),
            ("os disk", str(machine.os_disk_size_gb)),
            ("data disks", " ".join(str(size) for size in machine.data_disk_sizes_gb)),
        )

    # --- machines ---

    def boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> AzureMachine:
        place = self._group.place(plan, owner, deadline)
        if isinstance(source, ExactSource):
            return self._boot.from_source(source, plan, place, self._next_tries(), owner, deadline)
        return self._boot.from_captured(source, plan, place, self._tries, owner, deadline)

    def _next_tries(self) -> tuple[Candidate, ...]:
        """A machine after one that was lost begins with the next size: where one was taken back, others will be."""
        first = self._machines % len(self._tries) if self._tries else 0
        self._machines += 1
        return (*self._tries[first:], *self._tries[:first])

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> AzureMachine | None:
        state = self.cache.find(key, KeptKind.MACHINE)
        if state is None:
            return None
        place = self._group.place(plan, owner, deadline)
        try:
            machine = self._boot.from_state(state, plan, place, self._next_tries(), owner, deadline)
            self.cache.touch(state)
        except PlatformError as error:
            deadline.check()
            self._emit(Note(f"a checkpoint is passed over: {error}", Level.WARNING, error.hint))
            return None
        self._emit(Note("resumed from a checkpoint"))
        return machine

    def _captured(self, plan: Plan, kept: bool, deadline: Deadline) -> None:
        """A disk that is kept is elsewhere: unless a validation VM is to come, the build's group is not needed."""
        self._elsewhere = kept
        if kept and not plan.validation.steps:
            self._end_group(deadline)

    def _validated(self, plan: Plan, deadline: Deadline) -> None:
        if self._elsewhere or plan.validation.source_only:
            self._end_group(deadline)

    def _end_group(self, deadline: Deadline) -> None:
        owned = self._group.close()
        if owned is not None:
            self._deletion.begin([owned], deadline)

    # --- disks and images ---

    def captured(self, key: str) -> Disk | None:
        state = self.cache.find(key, KeptKind.DISK)
        if state is None:
            return None
        self._elsewhere = True
        self.cache.touch(state)
        return disk_of(state)

    def using(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        return self.cache.using(keys)

    def place_of(self, target: VhdTarget, plan: Plan) -> str:
        return f"a storage account in the resource group {plan.azure.resource_group}"

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        arm, emit, build = self._arm, self._emit, self._settings.work.name
        with self._lock:
            snapshots = self._snapshots(plan, owner)
        match target:
            case SharedImageTarget():
                return gallery.publish(
                    disk, target, source, build, arm, snapshots, self._choices, owner, emit, self._clock, deadline
                )
            case ManagedImageTarget():
                return managed_image.publish(disk, target, build, arm, snapshots, owner, emit, deadline)
            case VhdTarget():
                return vhd_blob.publish(
                    disk, target, plan, build, arm, self._storage, snapshots, owner, emit, self._clock, deadline
                )
            case _:
                assert_never(target)

    def _snapshots(self, plan: Plan, owner: Owner) -> Snapshots:
        if self._shared is None:
            self._shared = Snapshots(
                self._arm,
                plan.machine.location,
                lambda owner, deadline: self._group.place(plan, owner, deadline),
                lambda disk, place, deadline: upload.upload(
                    disk, self._arm, place, self._settings.work, owner, self._emit, deadline
                ),
                self._emit,
            )
        return self._shared

    _shared: Snapshots | None = None

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        """Satisfies core.ports.Remembers, for images: a VHD has no memory."""
        match target:
            case SharedImageTarget():
                return gallery.newest_tags(target, self._arm, deadline).get(SOURCE_TAG, "")
            case ManagedImageTarget():
                return managed_image.tags_of(target, self._arm, deadline).get(SOURCE_TAG, "")
            case VhdTarget():
                return None
            case _:
                assert_never(target)

    def begin_deletions(self, owned: Sequence[Owned], deadline: Deadline) -> None:
        """Satisfies core.ports.Begins."""
        self._deletion.begin(owned, deadline)

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        self._deletion.delete(owned, deadline)


def error(code: str, message: str, origin: Origin, hint: str) -> Diagnostic:
    return Diagnostic(Severity.ERROR, code, message, origin, hint)
