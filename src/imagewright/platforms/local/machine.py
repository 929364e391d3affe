"""One build VM on QEMU: booted or resumed, kept as checkpoints while it runs, captured when it is done."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagewright.communicators.by_hand import ByHand
from imagewright.communicators.keys import KeyPair
from imagewright.communicators.login import Login
from imagewright.communicators.ssh import SshGuest
from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import BuildTimeoutError, PlatformError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.plan import Generation, OsType
from imagewright.core.ports import KeptKind
from imagewright.platforms.local import qemu_img
from imagewright.platforms.local.checkpoint import Base, Meta, layer_name
from imagewright.platforms.local.checkpoints import Checkpoints
from imagewright.platforms.local.command import blockdev, node
from imagewright.platforms.local.firmware import VARIABLES
from imagewright.platforms.local.memory import Memory
from imagewright.platforms.local.process import QemuProcess
from imagewright.platforms.local.qmp import QmpError
from imagewright.platforms.local.seed import USER

CARRIED = ("seed.img", VARIABLES)
"""What of a machine's directory travels with its checkpoints, besides disks and memory."""

SAVE_SECONDS = 300.0
GO_ON_SECONDS = 30.0
POWER_OFF_SECONDS = 300.0
SELF_POWER_OFF_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a machine stays the same from its first boot to its capture, and travels with its checkpoints.

    `sizes` are the virtual sizes of its disks in bytes, the OS disk first.
    """

    base: Base
    sizes: tuple[int, ...]
    os_type: OsType
    generation: Generation
    architecture: str
    security_type: str
    user: KeyPair
    host: KeyPair

    def as_record(self) -> dict[str, str | int]:
        return {
            "os_type": self.os_type.value,
            "generation": self.generation.value,
            "architecture": self.architecture,
            "security_type": self.security_type,
            "user_private": self.user.private,
            "user_public": self.user.public,
            "host_private": self.host.private,
            "host_public": self.host.public,
        }

    @classmethod
    def of_record(cls, record: dict[str, str | int], base: Base, sizes: tuple[int, ...]) -> Frame:
        text = {name: str(value) for name, value in record.items()}
        return cls(
            base,
            sizes,
            OsType(text["os_type"]),
            Generation(text["generation"]),
            text["architecture"],
            text["security_type"],
            KeyPair(text["user_private"], text["user_public"]),
            KeyPair(text["host_private"], text["host_public"]),
        )

    def login(self, port: int) -> Login:
        return Login("127.0.0.1", port, USER, self.user.private, self.host.public)


class LocalMachine:
    """Satisfies core.ports.Machine. `directory` is its own and goes with it; `parent` is what its disks lie on."""

    def __init__(
        self,
        process: QemuProcess,
        guest: SshGuest,
        frame: Frame,
        memory: Memory,
        directory: Path,
        parent: Path | None,
        store: Checkpoints,
        emit: Emit,
        clock: Clock,
        port: int,
    ) -> None:
        self._process = process
        self._guest = guest
        self._frame = frame
        self._memory = memory
        self._directory = directory
        self._parent = parent
        self._store = store
        self._emit = emit
        self._clock = clock
        self._port = port
        self._layer = 0
        self._layers = 0

    @property
    def guest(self) -> SshGuest:
        return self._guest

    def access(self) -> str:
        return self._by_hand.command

    def keep(self) -> None:
        self._by_hand.write_files()

    @property
    def _by_hand(self) -> ByHand:
        key, known_hosts = self._directory / "id_ed25519", self._directory / "known_hosts"
        return ByHand(self._frame.login(self._port), key, known_hosts)

    # --- checkpoints ---

    def checkpoint(self, key: str, note: str) -> None:
        """Freeze the disks under a new layer and keep the memory. A failure costs the checkpoint only."""
        deadline = Deadline.after(self._clock, SAVE_SECONDS, "keeping a checkpoint")
        target: Path | None = None
        try:
            target = self._store.new(key, self._parent)
            with self._stopped(deadline):
                self._freeze(target, deadline)
                self._memory.save(self._process.qmp, target, deadline)
                for name in CARRIED:
                    if (self._directory / name).exists():
                        shutil.copy2(self._directory / name, target / name)
        except (PlatformError, BuildTimeoutError, OSError) as error:
            self._process.alive()
            if target is not None:
                self._store.give_up(target, self._meta(key, KeptKind.MACHINE, note), frozen=self._parent == target)
            self._emit(
                Note(f"no checkpoint was kept: {error}", Level.WARNING, "the build goes on; look at the free space")
            )
            return
        self._store.finish_later(target, self._meta(key, KeptKind.MACHINE, note))

    @contextmanager
    def _stopped(self, deadline: Deadline) -> Iterator[None]:
        """The guest stands still meanwhile, and goes on afterwards, whatever happens and though `deadline` passed."""
        qmp = self._process.qmp
        try:
            qmp.execute("stop", deadline)
            yield
        except BaseException:
            with contextlib.suppress(PlatformError, BuildTimeoutError):
                self._memory.stop_saving(qmp, self._soon())
            raise
        finally:
            qmp.execute("cont", self._soon())

    def _soon(self) -> Deadline:
        return Deadline.after(self._clock, GO_ON_SECONDS, "QEMU's answer")

    def _meta(self, key: str, kind: KeptKind, note: str) -> Meta:
        frame = self._frame
        return self._store.describe(key, kind, note, frame.base, frame.sizes, frame.as_record())

    def _freeze(self, target: Path, deadline: Deadline) -> None:
        """Put a new layer on each disk; what was the top until now belongs to `target`."""
        self._layers += 1  # a name that QEMU has seen is never taken again, though its layer came to nothing
        upper = self._layers
        actions: list[dict[str, object]] = []
        for disk, size in enumerate(self._frame.sizes):
            frozen = target / layer_name(disk)
            os.link(active(self._directory, disk, self._layer), frozen)
            overlay = active(self._directory, disk, upper)
            qemu_img.create_layer(frozen, size, overlay)
            self._process.qmp.execute("blockdev-add", deadline, blockdev(disk, upper, overlay))
            snapshot = {"node": node(disk, self._layer), "overlay": node(disk, upper)}
            actions.append({"type": "blockdev-snapshot", "data": snapshot})
        self._process.qmp.execute("transaction", deadline, {"actions": actions})
        self._layer = upper
        self._parent = target

    # --- the end ---

    def capture(self, key: str, deadline: Deadline) -> Disk:
        self._guest.close()
        self._power_off(deadline)
        self._memory.close()
        self._frame.base.check()
        disks = [active(self._directory, disk, self._layer) for disk in range(len(self._frame.sizes))]
        identity = ""
        if key:
            disks, identity = self._kept(key, disks)
        return disk_of(self._frame, disks, identity)

    def end(self) -> None:
        self._guest.close()
        self._process.kill()
        self._memory.close()

    def _kept(self, key: str, disks: list[Path]) -> tuple[list[Path], str]:
        """The disks in the cache, and their identity; or where they are, when they cannot be kept, and `""`."""
        target: Path | None = None
        meta = self._meta(key, KeptKind.DISK, "captured")
        try:
            target = self._store.new(key, self._parent)
            kept = [target / layer_name(number) for number in range(len(disks))]
            for disk, link in zip(disks, kept, strict=True):
                os.link(disk, link)
        except OSError as error:
            if target is not None:
                self._store.give_up(target, meta, frozen=False)
            self._emit(
                Note(f"the captured disk is not kept: {error}", Level.WARNING, "the next build makes it again")
            )
            return disks, ""
        self._store.finish_later(target, meta)
        return kept, identity_of(target)

    def _power_off(self, deadline: Deadline) -> None:
        within = deadline.sooner(
            POWER_OFF_SECONDS,
            "powering off the build VM",
            "a service in the image does not stop: look at the serial log",
            PlatformError,
        )
        # The guest powers itself off at the end of its deprovisioning; the button is for those that cannot.
        itself = within.sooner(SELF_POWER_OFF_SECONDS, "the guest's own end", error=BuildTimeoutError)
        with contextlib.suppress(BuildTimeoutError):
            self._process.wait_end(itself)
        within.check()
        with contextlib.suppress(QmpError):  # it may end at this very moment
            if not self._process.ended():
                self._process.qmp.execute("system_powerdown", within)
        self._process.wait_end(within)


def identity_of(directory: Path) -> str:
    """Of a captured disk in the cache: two that were made under one key do not hold the same bytes."""
    return f"captured.{directory.name}"


def disk_of(frame: Frame, paths: list[Path], identity: str) -> Disk:
    """The captured disks as the engine knows them."""
    first, *others = [
        Disk(
            location=str(path),
            format="qcow2",
            virtual_size=qemu_img.info(path).virtual_size,
            os_type=frame.os_type,
            generation=frame.generation,
            architecture=frame.architecture,
            identity=identity and f"{identity}.{number}",
            security_type=frame.security_type,
        )
        for number, path in enumerate(paths)
    ]
    return dataclasses.replace(first, data_disks=tuple(others))


def active(directory: Path, disk: int, layer: int) -> Path:
    return directory / f"active-{disk}-{layer}.qcow2"
