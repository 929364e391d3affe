"""The local platform: build VMs on QEMU, the images in a store of our own, nothing outside this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagewright.communicators import cloud_init
from imagewright.communicators.keys import new_key_pair
from imagewright.communicators.ssh import SshGuest
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.digest import digest
from imagewright.core.disk import Disk
from imagewright.core.errors import CancelledError, Diagnostic, PlatformError, Severity
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, Generation, MachineSpec, OsType, Plan, Source, Target, VhdTarget
from imagewright.core.ports import KeptKind
from imagewright.core.result import RunOutput
from imagewright.platforms import Settings
from imagewright.platforms.local import accelerator, firmware, process, qemu_img, seed, sources, wake
from imagewright.platforms.local.accelerator import Accelerator
from imagewright.platforms.local.background import Background
from imagewright.platforms.local.checkpoint import Base, DamagedError, Entry, layer_name
from imagewright.platforms.local.checkpoints import Checkpoints
from imagewright.platforms.local.command import MachineConfig
from imagewright.platforms.local.debian import guest_apt_config
from imagewright.platforms.local.flat import FILE
from imagewright.platforms.local.hang import HangWatch, HungError
from imagewright.platforms.local.host import FREE_SPACE, HostError, on_host
from imagewright.platforms.local.image_store import DIRECTORY
from imagewright.platforms.local.machine import CARRIED, Frame, LocalMachine, active, disk_of
from imagewright.platforms.local.memory import Memory
from imagewright.platforms.local.targets import LocalTargets, check_targets, own_place

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 2048
BOOT_SECONDS = 20 * 60.0
BOOTS = 3
RESUME_SECONDS = 120.0
SERIAL = "serial.log"
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
        self._choosing: Background[Accelerator] | None = None
        self._accelerator: Accelerator | None = None
        self._unable_to_resume = False
        self._running: dict[Owned, tuple[process.QemuProcess, Memory]] = {}

    # --- before anything is created ---

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        self._choose()
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
        exact = sources.resolve(source, self._settings.home, self._emit, self._clock, deadline)
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
        chosen = self._accelerate()
        return (
            ("platform", "local.v2"),
            ("qemu", accelerator.qemu_version(QEMU)),
            ("accelerator", f"{chosen.name} {' '.join(chosen.arguments)}"),
            ("cpu", f"{chosen.cpu} x {self._cpus()}"),
            ("memory", str(self._memory())),
            ("generation", source.generation.value),
            ("security", source.security_type),
            ("os disk", str(machine.os_disk_size_gb)),
            ("data disks", " ".join(str(size) for size in machine.data_disk_sizes_gb)),
            ("seed", digest(seed.VERSION, str(guest_apt_config()))),
        )

    # --- machines ---

    def boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine:
        for _ in range(BOOTS - 1):
            try:
                return self._boot(source, plan, owner, deadline)
            except HungError as hung:
                self._emit(Note(hung.message, Level.WARNING, "it is booted once more, from a fresh disk"))
        return self._boot(source, plan, owner, deadline)

    def _boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine:
        with on_host("the build VM could not be made"):
            directory = self._directory(owner)
            frame = self._fresh(source, plan, directory)
        what = source if isinstance(source, ExactSource) else "the captured disk"
        self._emit(Note(f"booting {what} under {self._accelerate().name}"))
        within = deadline.sooner(
            BOOT_SECONDS,
            "the first boot of the build VM",
            "the image needs cloud-init and an SSH server; the last lines are those of its serial console",
            PlatformError,
        )
        running, memory = self._start(frame, directory, None, owner, within)
        watch = HangWatch(running, directory / SERIAL, self._clock)
        try:
            machine = self._connect(running, frame, memory, directory, None, within, watch.alive)
            cloud_init.wait(machine.guest, within)
        except PlatformError as error:
            error.output = error.output or process.last_lines(directory / SERIAL, 20)
            if isinstance(error, HungError):
                self.delete(running.owned, within)
            raise
        watch.booted()
        return machine

    def _fresh(self, source: ExactSource | Disk, plan: Plan, directory: Path) -> Frame:
        """The disks, the keys and the seed of a machine that begins with `source`."""
        base = Path(source.location)
        fresh = isinstance(source, ExactSource)
        wanted = plan.machine.os_disk_size_gb * GIB if fresh else 0
        overlay = active(directory, 0, 0)
        qemu_img.create_overlay(base, qemu_img.info(base).format, overlay, wanted or None)
        sizes = [qemu_img.info(overlay).virtual_size]
        data_disks = source.data_disks if isinstance(source, Disk) else ()
        for number, disk in enumerate(data_disks, start=1):
            qemu_img.create_overlay(Path(disk.location), disk.format, active(directory, number, 0))
            sizes.append(disk.virtual_size)
        if fresh:
            for number, size in enumerate(plan.machine.data_disk_sizes_gb, start=1):
                qemu_img.create_empty(active(directory, number, 0), size * GIB)
                sizes.append(size * GIB)
        frame = Frame(
            Base.of(base),
            tuple(sizes),
            source.os_type,
            source.generation,
            source.architecture,
            source.security_type,
            user=new_key_pair(seed.KEY_COMMENT),
            host=new_key_pair("host"),
        )
        told = seed.Seed(f"iw-{fresh_name()}", frame.user, frame.host, guest_apt_config(), len(sizes) - 1)
        seed.write(told, directory)
        return frame

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine | None:
        entry = None if self._unable_to_resume else self.cache.find(key, KeptKind.MACHINE)
        if entry is None:
            return None
        try:
            return self._resume(entry, owner, deadline.sooner(RESUME_SECONDS, "resuming", error=PlatformError))
        except DamagedError as error:
            self._discard(entry, f"the checkpoint `{entry.meta.note}`", error)
        except PlatformError as error:
            deadline.check()
            self._unable_to_resume = isinstance(error, HostError)
            self._emit(
                Note(f"the checkpoint `{entry.meta.note}` could not be resumed: {error}", Level.WARNING, error.hint)
            )
        return None

    def _resume(self, entry: Entry, owner: Owner, deadline: Deadline) -> LocalMachine:
        """Raises DamagedError when the checkpoint is not what it was, whatever else came of that; HostError when
        every other one would fail as well."""
        verification = Background(lambda: self._verify(entry))
        running: process.QemuProcess | None = None
        try:
            with on_host("the checkpoint could not be read"):
                directory = self._directory(owner)
                frame = Frame.of_record(entry.meta.machine, entry.meta.base, entry.meta.sizes)
                for number in range(len(frame.sizes)):
                    qemu_img.create_overlay(entry.disk(number), "qcow2", active(directory, number, 0))
                for name in CARRIED:
                    if (entry.directory / name).exists():
                        shutil.copy2(entry.directory / name, directory / name)
            running, memory = self._start(frame, directory, entry.directory, owner, deadline)
            memory.load(running.qmp, entry.directory, deadline)
            running.qmp.execute("cont", deadline)
            machine = self._connect(running, frame, memory, directory, entry.directory, deadline, running.alive)
            wake.wake(machine.guest, self._clock.now, deadline)
            verification.join()  # nothing that the user asked for has run yet
        except BaseException as error:
            if running is not None:
                self.delete(running.owned, deadline)
            if isinstance(error, PlatformError):
                verification.join()
            raise
        self._emit(Note(f"resumed from the checkpoint `{entry.meta.note}`"))
        return machine

    def _verify(self, entry: Entry) -> None:
        with on_host("the checkpoint could not be read"):
            self.cache.verify(entry)

    def _discard(self, entry: Entry, what: str, error: DamagedError) -> None:
        self.cache.discard(entry)
        self._emit(Note(f"{what} is passed over: {error}", Level.WARNING, "it was discarded"))

    def _start(
        self, frame: Frame, directory: Path, kept: Path | None, owner: Owner, deadline: Deadline
    ) -> tuple[process.QemuProcess, Memory]:
        """A QEMU that boots, or that waits for the state that goes with the memory in the checkpoint `kept`."""
        with on_host("the build VM could not get its memory"):
            memory = Memory(self._memory())
        try:
            with on_host("the build VM could not be made"):
                if kept is not None:
                    memory.fill(kept)
                configure = self._configure(directory, frame, memory, resuming=kept is not None)
            running = process.start(configure, directory, owner, deadline, pass_fds=(memory.descriptor,))
        except BaseException:
            memory.close()
            raise
        self._running[running.owned] = running, memory
        return running, memory

    def _connect(
        self,
        running: process.QemuProcess,
        frame: Frame,
        memory: Memory,
        directory: Path,
        parent: Path | None,
        deadline: Deadline,
        alive: Callable[[], None],
    ) -> LocalMachine:
        port = running.ssh_port(deadline)
        guest = SshGuest(frame.login(port), alive, self._emit)
        guest.connect(deadline)
        return LocalMachine(
            running, guest, frame, memory, directory, parent, self.cache, self._emit, self._clock, port
        )

    def _configure(
        self, directory: Path, frame: Frame, memory: Memory, *, resuming: bool = False
    ) -> Callable[[int], MachineConfig]:
        chosen = self._accelerate()
        uefi = firmware.prepare(directory) if frame.generation is Generation.V2 else None

        def configure(monitor: int) -> MachineConfig:
            return MachineConfig(
                name="imagewright",
                binary=QEMU,
                accelerator=chosen.arguments,
                cpu=chosen.cpu,
                cpus=self._cpus(),
                memory=self._memory(),
                disks=tuple(active(directory, number, 0) for number in range(len(frame.sizes))),
                seed=directory / "seed.img",
                monitor=monitor,
                ram=memory.descriptor,
                serial=directory / SERIAL,
                pid_file=directory / "qemu.pid",
                firmware=uefi,
                resuming=resuming,
            )

        return configure

    def _directory(self, owner: Owner) -> Path:
        directory = (self._settings.work / f"machine-{fresh_name(6)}").absolute()
        owner.own(Owned("local", DIRECTORY, str(directory)))
        directory.mkdir(parents=True, mode=0o700)
        return directory

    # --- disks and images ---

    def captured(self, key: str) -> Disk | None:
        entry = self.cache.find(key, KeptKind.DISK)
        if entry is None:
            return None
        try:
            self._verify(entry)
            frame = Frame.of_record(entry.meta.machine, entry.meta.base, entry.meta.sizes)
            paths = [entry.directory / layer_name(number) for number in range(len(frame.sizes))]
            return disk_of(frame, paths, key)
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
        return self._targets.publish(disk, target, source, owner, deadline)

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        """Satisfies core.ports.Remembers."""
        return self._targets.built_from(target)

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        if owned in self._running:
            running, memory = self._running.pop(owned)
            running.kill()
            memory.close()
        elif owned.kind == process.KIND:
            process.delete(owned, deadline)
        elif owned.kind == DIRECTORY and Path(owned.id).exists():
            shutil.rmtree(owned.id)
        elif owned.kind == FILE:
            Path(owned.id).unlink(missing_ok=True)

    # --- this machine ---

    def _choose(self) -> Background[Accelerator]:
        """Looking for the accelerator may take seconds, the first time: it begins as soon as there is a plan."""
        if self._choosing is None:
            home, wanted = self._settings.home, self._settings.accelerator
            self._choosing = Background(lambda: accelerator.choose(home, QEMU, wanted))
        return self._choosing

    def _accelerate(self) -> Accelerator:
        if self._accelerator is None:
            self._accelerator = self._choose().join()
            self._emit(Note(f"accelerator {self._accelerator.name}: {self._accelerator.why}"))
        return self._accelerator

    def _cpus(self) -> int:
        return self._settings.cpus or min(4, os.cpu_count() or 1)

    def _memory(self) -> int:
        return self._settings.memory_mib or MEMORY_MIB
