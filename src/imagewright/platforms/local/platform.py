"""The local platform: build VMs on QEMU, the images in a store of our own, nothing outside this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagewright.core.clock import Clock, Deadline
from imagewright.core.digest import digest
from imagewright.core.disk import Disk
from imagewright.core.errors import CancelledError, Diagnostic, PlatformError, Severity
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, MachineSpec, OsType, Plan, Source, Target, VhdTarget
from imagewright.core.ports import KeptKind
from imagewright.core.result import RunOutput
from imagewright.platforms import Settings
from imagewright.platforms.local import accelerator, process, seed, sources
from imagewright.platforms.local.boot import Boot
from imagewright.platforms.local.capacity import Capacity
from imagewright.platforms.local.checkpoint import Base, DamagedError, Entry, layer_name
from imagewright.platforms.local.checkpoints import Checkpoints
from imagewright.platforms.local.debian import guest_apt
from imagewright.platforms.local.flat import FILE
from imagewright.platforms.local.host import FREE_SPACE, HostError, refused
from imagewright.platforms.local.image_store import DIRECTORY
from imagewright.platforms.local.machine import Frame, LocalMachine, disk_of, identity_of
from imagewright.platforms.local.targets import LocalTargets, check_targets, own_place

RESUME_SECONDS = 120.0
GIB = 1 << 30


class LocalPlatform:
    """Satisfies core.ports.Platform."""

    name = "local"

    def __init__(self, settings: Settings, emit: Emit, clock: Clock) -> None:
        self._settings = settings
        self._emit = emit
        self._clock = clock
        self.cache = Checkpoints(settings.home / "checkpoints", clock)
        self._targets = LocalTargets(settings.home, settings.output, settings.work, emit, clock)
        self._capacity = Capacity(settings, emit)
        self._boot = Boot(self._capacity, self.cache, settings.work, emit, clock)
        self._unable_to_resume = False
        self._base: Base | None = None

    # --- before anything is created ---

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        self._capacity.choose()
        for step in (*plan.steps, *plan.validation.steps):
            if step.type in ("PowerShell", "WindowsRestart", "WindowsUpdate"):
                yield Diagnostic(
                    Severity.ERROR,
                    "windows-on-local",
                    f"{step.type} needs a Windows build VM, which the local platform does not have",
                    step.origin,
                    "local builds are for Linux images",
                )
        yield from check_targets(plan, self._settings.output)

    def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
        try:
            exact = sources.resolve(source, self._settings.home, self._emit, self._clock, deadline)
            self._base = Base.of(Path(exact.location))
        except OSError as error:
            raise refused("the source could not be prepared", error) from error
        if exact.os_type is not OsType.LINUX:
            raise PlatformError(f"{exact} is a Windows image", hint="local builds are for Linux images")
        if exact.architecture != "x64":
            raise PlatformError(f"{exact} is for {exact.architecture}", hint="local builds are for x64 images")
        wanted = plan.machine.os_disk_size_gb * GIB
        if wanted and wanted < exact.size:
            raise PlatformError(
                f"osDiskSizeGB {plan.machine.os_disk_size_gb} is smaller than the source's {exact.size / GIB:g} GiB",
                hint="an OS disk can only grow",
                origin=plan.origin,
            )
        return exact

    def machine_facts(self, source: ExactSource, machine: MachineSpec) -> tuple[tuple[str, str], ...]:
        chosen = self._capacity.accelerator
        return (
            ("platform", "local.v2"),
            ("qemu", accelerator.qemu_version(self._capacity.binary)),
            ("accelerator", f"{chosen.name} {' '.join(chosen.arguments)}"),
            ("cpu", f"{chosen.cpu} x {self._capacity.cpus}"),
            ("memory", str(self._capacity.memory_mib)),
            ("generation", source.generation.value),
            ("security", source.security_type),
            ("os disk", str(machine.os_disk_size_gb)),
            ("data disks", " ".join(str(size) for size in machine.data_disk_sizes_gb)),
            ("seed", digest(seed.VERSION, str(guest_apt()))),
        )

    # --- machines ---

    def boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine:
        machine = self._boot.fresh(source, plan, owner, deadline)
        self._check_base()
        return machine

    def _check_base(self) -> None:
        if self._base is not None:
            self._base.check()

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine | None:
        entry = None if self._unable_to_resume else self.cache.find(key, KeptKind.MACHINE)
        if entry is None:
            return None
        try:
            return self._boot.resumed(entry, owner, deadline.sooner(RESUME_SECONDS, "resuming", error=PlatformError))
        except DamagedError as error:
            self._discard(entry, f"the checkpoint `{entry.meta.note}`", error)
        except PlatformError as error:
            deadline.check()
            self._unable_to_resume = isinstance(error, HostError)
            self._emit(
                Note(f"the checkpoint `{entry.meta.note}` could not be resumed: {error}", Level.WARNING, error.hint)
            )
        return None

    def _discard(self, entry: Entry, what: str, error: DamagedError) -> None:
        self.cache.discard(entry)
        self._emit(Note(f"{what} is passed over: {error}", Level.WARNING, "it was discarded"))

    # --- disks and images ---

    def captured(self, key: str) -> Disk | None:
        entry = self.cache.find(key, KeptKind.DISK)
        if entry is None:
            return None
        try:
            self.cache.verify(entry)
            frame = Frame.of_record(entry.meta.machine, entry.meta.base, entry.meta.sizes)
            paths = [entry.directory / layer_name(number) for number in range(len(frame.sizes))]
            return disk_of(frame, paths, identity_of(entry.directory))
        except DamagedError as error:
            self._discard(entry, "the captured disk", error)
        except PlatformError as error:
            self._emit(Note(f"the captured disk could not be used: {error}", Level.WARNING, error.hint))
        return None

    @contextmanager
    def using(self, keys: Sequence[str]) -> Iterator[None]:
        with self.cache.using():
            try:
                yield
            except CancelledError:
                raise  # there is no time for what is not finished yet
            except BaseException:
                self._settle()
                raise
            self._settle()

    def _settle(self) -> None:
        for note, error in self.cache.settle():
            self._emit(Note(f"the checkpoint `{note}` was not kept: {error}", Level.WARNING, FREE_SPACE))

    def place_of(self, target: VhdTarget, plan: Plan) -> str:
        return str(own_place(target, self._settings.output))

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        return self._targets.publish(disk, target, source, owner, self.guarded(deadline))

    def guarded(self, deadline: Deadline) -> Deadline:
        """Satisfies core.ports.Guards."""
        return deadline.guarding(self._check_base)

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        """Satisfies core.ports.Remembers."""
        return self._targets.built_from(target)

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        if self._boot.end(owned):
            return
        if owned.kind == process.KIND:
            process.delete(owned, deadline)
        elif owned.kind == DIRECTORY and Path(owned.id).exists():
            shutil.rmtree(owned.id)
        elif owned.kind == FILE:
            Path(owned.id).unlink(missing_ok=True)
