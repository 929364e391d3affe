"""The local platform: build VMs on QEMU, the images in a store of our own, nothing outside this machine."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from imagewright.communicators.ssh import SshGuest, new_key_pair
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.digest import digest
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic, PlatformError, Severity
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, Generation, MachineSpec, OsType, Plan, Source, Target
from imagewright.core.result import RunOutput
from imagewright.platforms import Settings
from imagewright.platforms.local import accelerator, firmware, process, publish, qemu_img, seed, sources, wake
from imagewright.platforms.local.accelerator import Accelerator
from imagewright.platforms.local.checkpoints import Base, Checkpoints, DamagedError, Entry, layer_name
from imagewright.platforms.local.command import MachineConfig
from imagewright.platforms.local.debian import guest_apt_config
from imagewright.platforms.local.machine import Frame, LocalMachine, active, disk_of
from imagewright.platforms.local.memory import Memory

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 2048
BOOT_SECONDS = 20 * 60.0
RESUME_SECONDS = 120.0
DIRECTORY = "directory"
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
        self._accelerator: Accelerator | None = None
        self._qemu_version = ""
        self._running: dict[Owned, tuple[process.QemuProcess, Memory]] = {}

    # --- before anything is created ---

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        for step in (*plan.steps, *plan.validation.steps):
            if step.type in ("PowerShell", "WindowsRestart", "WindowsUpdate"):
                yield Diagnostic(
                    Severity.ERROR,
                    "windows-on-local",
                    f"{step.type} needs a Windows build VM, which the local platform does not have",
                    step.origin,
                    "local builds are for Linux images",
                )

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
            ("qemu", self._version()),
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
        directory = self._directory(owner)
        base = Path(source.location)
        fresh = isinstance(source, ExactSource)
        wanted = plan.machine.os_disk_size_gb * GIB if fresh else 0
        backing_format = qemu_img.info(base).format
        overlay = active(directory, 0, 0)
        qemu_img.create_overlay(base, backing_format, overlay, wanted or None)
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
        seed.write(seed.Seed(f"iw-{fresh_name()}", frame.user, frame.host, guest_apt_config()), directory)
        chosen = self._accelerate()
        self._emit(Note(f"booting {source if fresh else 'the captured disk'} under {chosen.name}"))
        within = deadline.sooner(
            BOOT_SECONDS,
            "the first boot of the build VM",
            "the image needs cloud-init and an SSH server; the last lines are those of its serial console",
            PlatformError,
        )
        memory = Memory(self._memory())
        configure = self._configure(directory, frame, memory)
        running = self._start(configure, memory, directory, owner, within)
        try:
            machine = self._connect(running, frame, memory, directory, None, within)
            _wait_for_cloud_init(machine.guest, within)
        except PlatformError as error:
            error.output = error.output or _last_lines(directory / SERIAL)
            raise
        return machine

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine | None:
        entry = self.cache.find(key, "machine")
        if entry is None:
            return None
        try:
            return self._resume(entry, owner, deadline.sooner(RESUME_SECONDS, "resuming", error=PlatformError))
        except (DamagedError, PlatformError, OSError) as error:
            deadline.check()
            self.cache.discard(entry)
            self._emit(
                Note(f"the checkpoint `{entry.meta.note}` is passed over: {error}", Level.WARNING, "it was discarded")
            )
            return None

    def _resume(self, entry: Entry, owner: Owner, deadline: Deadline) -> LocalMachine:
        directory = self._directory(owner)
        frame = Frame.of_record(entry.meta.machine, entry.meta.base, entry.meta.sizes)
        for number in range(len(frame.sizes)):
            qemu_img.create_overlay(entry.disk(number), "qcow2", active(directory, number, 0))
        for name in ("seed.img", firmware.VARIABLES):
            if (entry.directory / name).exists():
                shutil.copy2(entry.directory / name, directory / name)
        verification = _Background(lambda: self.cache.verify(entry))
        memory = Memory(self._memory())
        memory.fill(entry.directory)
        configure = self._configure(directory, frame, memory, resuming=True)
        running = self._start(configure, memory, directory, owner, deadline)
        try:
            memory.load(running.qmp, entry.directory, deadline)
            verification.join()
            running.qmp.execute("cont", deadline)
            machine = self._connect(running, frame, memory, directory, entry.directory, deadline)
            wake.wake(machine.guest, self._clock.now, deadline)
        except BaseException:
            self.delete(running.owned, deadline)
            raise
        self._emit(Note(f"resumed from the checkpoint `{entry.meta.note}`"))
        return machine

    def _start(
        self,
        configure: Callable[[int], MachineConfig],
        memory: Memory,
        directory: Path,
        owner: Owner,
        deadline: Deadline,
    ) -> process.QemuProcess:
        try:
            running = process.start(configure, directory, owner, deadline, pass_fds=(memory.descriptor,))
        except BaseException:
            memory.close()
            raise
        self._running[running.owned] = running, memory
        return running

    def _connect(
        self,
        running: process.QemuProcess,
        frame: Frame,
        memory: Memory,
        directory: Path,
        parent: Path | None,
        deadline: Deadline,
    ) -> LocalMachine:
        port = running.ssh_port(deadline)
        guest = SshGuest(frame.login(port), running.alive)
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
        entry = self.cache.find(key, "disk")
        if entry is None:
            return None
        try:
            self.cache.verify(entry)
            frame = Frame.of_record(entry.meta.machine, entry.meta.base, entry.meta.sizes)
            paths = [entry.directory / layer_name(number) for number in range(len(frame.sizes))]
            return disk_of(frame, paths, key)
        except (DamagedError, PlatformError, OSError) as error:
            self.cache.discard(entry)
            self._emit(Note(f"the captured disk is passed over: {error}", Level.WARNING, "it was discarded"))
            return None

    def using(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        return self.cache.using()

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        return publish.publish(
            disk, target, source, self._settings.home, self._settings.output, self._emit, self._clock, deadline
        )

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        if owned in self._running:
            running, memory = self._running.pop(owned)
            running.kill()
            memory.close()
        elif owned.kind == process.KIND:
            process.delete(owned, deadline)
        elif owned.kind == DIRECTORY and Path(owned.id).exists():
            shutil.rmtree(owned.id)

    # --- this machine ---

    def _accelerate(self) -> Accelerator:
        if self._accelerator is None:
            self._accelerator = accelerator.choose(self._settings.home, QEMU, self._settings.accelerator)
            self._emit(Note(f"accelerator {self._accelerator.name}: {self._accelerator.why}"))
        return self._accelerator

    def _version(self) -> str:
        if not self._qemu_version:
            self._qemu_version = accelerator.qemu_version(QEMU)
        return self._qemu_version

    def _cpus(self) -> int:
        return self._settings.cpus or min(4, os.cpu_count() or 1)

    def _memory(self) -> int:
        return self._settings.memory_mib or MEMORY_MIB


@dataclass
class _Background:
    """One call in a thread of its own; `join` raises what it raised."""

    call: Callable[[], None]

    def __post_init__(self) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.call()
        except BaseException as error:  # noqa: BLE001 - handed over to the joining thread
            self._error = error

    def join(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


def _wait_for_cloud_init(guest: SshGuest, deadline: Deadline) -> None:
    code, said = guest.ask("command -v cloud-init >/dev/null || exit 0; cloud-init status --wait", deadline)
    if code == 1 or "error" in said.split():
        raise PlatformError(
            f"cloud-init failed at the first boot: {said.strip(' .')}",
            hint="see /var/log/cloud-init.log in the guest",
        )


def _last_lines(log: Path) -> tuple[str, ...]:
    try:
        return tuple(log.read_text("utf-8", "replace").splitlines()[-20:])
    except OSError:
        return ()
