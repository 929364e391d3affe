"""From a source, a captured disk or a checkpoint to a machine on QEMU whose guest answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from imagewright.communicators import cloud_init
from imagewright.communicators.keys import new_key_pair
from imagewright.communicators.ssh import SshGuest
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, Generation, Plan
from imagewright.platforms.local import firmware, process, qemu_img, seed, wake
from imagewright.platforms.local.background import Background
from imagewright.platforms.local.capacity import Capacity
from imagewright.platforms.local.checkpoint import Base, Entry
from imagewright.platforms.local.checkpoints import Checkpoints
from imagewright.platforms.local.command import MachineConfig
from imagewright.platforms.local.debian import guest_apt
from imagewright.platforms.local.hang import HangWatch, HungError
from imagewright.platforms.local.host import on_host
from imagewright.platforms.local.image_store import DIRECTORY
from imagewright.platforms.local.machine import CARRIED, Frame, LocalMachine, active
from imagewright.platforms.local.memory import Memory

BOOT_SECONDS = 20 * 60.0
BOOTS = 3
SERIAL = "serial.log"
GIB = 1 << 30


class Boot:
    """Boots and resumes the machines of one build, and knows those that run."""

    def __init__(self, capacity: Capacity, store: Checkpoints, work: Path, emit: Emit, clock: Clock) -> None:
        self._capacity = capacity
        self._store = store
        self._work = work
        self._emit = emit
        self._clock = clock
        self.running: dict[Owned, tuple[process.QemuProcess, Memory]] = {}

    def fresh(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine:
        """A machine that begins with `source`; one that hangs is booted anew."""
        for _ in range(BOOTS - 1):
            try:
                return self._once(source, plan, owner, deadline)
            except HungError as hung:
                self._emit(Note(hung.message, Level.WARNING, "it is booted once more, from a fresh disk"))
        return self._once(source, plan, owner, deadline)

    def _once(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> LocalMachine:
        with on_host("the build VM could not be made"):
            directory = self._directory(owner)
            frame = self._frame(source, plan, directory)
        what = source if isinstance(source, ExactSource) else "the captured disk"
        self._emit(Note(f"booting {what} under {self._capacity.accelerator.name}"))
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
                self.end(running.owned)
            raise
        watch.booted()
        return machine

    def _frame(self, source: ExactSource | Disk, plan: Plan, directory: Path) -> Frame:
        """The disks, the keys and the seed of a machine that begins with `source`."""
        base = Path(source.location)
        fresh = isinstance(source, ExactSource)
        below = qemu_img.info(base)
        sizes = [(plan.machine.os_disk_size_gb * GIB if fresh else 0) or below.virtual_size]
        qemu_img.create_overlay(base, below.format, active(directory, 0, 0), sizes[0])
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
        told = seed.Seed(f"iw-{fresh_name()}", frame.user, frame.host, guest_apt(), len(sizes) - 1)
        seed.write(told, directory)
        return frame

    def resumed(self, entry: Entry, owner: Owner, deadline: Deadline) -> LocalMachine:
        """Raises DamagedError when the checkpoint is not what it was, whatever else came of that; HostError when
        every other one would fail as well."""
        verification = Background(lambda: self._store.verify(entry))
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
                self.end(running.owned)
            if isinstance(error, PlatformError):
                verification.join()
            raise
        self._emit(Note(f"resumed from the checkpoint `{entry.meta.note}`"))
        return machine

    def _start(
        self, frame: Frame, directory: Path, kept: Path | None, owner: Owner, deadline: Deadline
    ) -> tuple[process.QemuProcess, Memory]:
        """A QEMU that boots, or that waits for the state that goes with the memory in the checkpoint `kept`."""
        with on_host("the build VM could not get its memory"):
            memory = Memory(self._capacity.memory_mib)
        try:
            with on_host("the build VM could not be made"):
                if kept is not None:
                    memory.fill(kept)
                configure = self._configure(directory, frame, memory, resuming=kept is not None)
            running = process.start(configure, directory, owner, deadline, pass_fds=(memory.descriptor,))
        except BaseException:
            memory.close()
            raise
        self.running[running.owned] = running, memory
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
            running, guest, frame, memory, directory, parent, self._store, self._emit, self._clock, port
        )

    def _configure(
        self, directory: Path, frame: Frame, memory: Memory, *, resuming: bool = False
    ) -> Callable[[int], MachineConfig]:
        chosen = self._capacity.accelerator
        uefi = firmware.prepare(directory) if frame.generation is Generation.V2 else None

        def configure(monitor: int) -> MachineConfig:
            return MachineConfig(
                name="imagewright",
                binary=self._capacity.binary,
                accelerator=chosen.arguments,
                cpu=chosen.cpu,
                cpus=self._capacity.cpus,
                memory=self._capacity.memory_mib,
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
        directory = (self._work / f"machine-{fresh_name(6)}").absolute()
        owner.own(Owned("local", DIRECTORY, str(directory)))
        directory.mkdir(parents=True, mode=0o700)
        return directory

    def end(self, owned: Owned) -> bool:
        """End a machine of ours, unless it has ended; False where it is none."""
        if owned not in self.running:
            return False
        running, memory = self.running.pop(owned)
        running.kill()
        memory.close()
        return True
