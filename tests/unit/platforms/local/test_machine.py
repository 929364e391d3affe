"""A machine whose QEMU is scripted; its disks and its store are real."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_qemu import ScriptedQemu

from imagewright.communicators.keys import KeyPair
from imagewright.communicators.ssh import SshGuest
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import PlatformError
from imagewright.core.events import Event, Note
from imagewright.core.plan import Generation, OsType
from imagewright.platforms.local import machine as machine_module
from imagewright.platforms.local import memory as memory_module
from imagewright.platforms.local import qemu_img
from imagewright.platforms.local.checkpoint import Base
from imagewright.platforms.local.checkpoints import Checkpoints
from imagewright.platforms.local.machine import Frame, LocalMachine, active
from imagewright.platforms.local.memory import Memory

MIB = 1 << 20
ONE, TWO, DISK = "1" * 64, "2" * 64, "d" * 64
CLOCK = SystemClock()


class Setting:
    def __init__(self, folder: Path) -> None:
        self.directory = folder / "machine"
        self.directory.mkdir()
        self.base = folder / "base.qcow2"
        qemu_img.create_empty(self.base, 16 * MIB)
        qemu_img.create_overlay(self.base, "qcow2", active(self.directory, 0, 0))
        (self.directory / "seed.img").write_bytes(b"seed")
        self.qemu = ScriptedQemu(self.directory)
        self.memory = Memory(4)
        self.store = Checkpoints(folder / "checkpoints", CLOCK)
        self.events: list[Event] = []
        keys = KeyPair("private", "public")
        frame = Frame(
            Base.of(self.base), (16 * MIB,), OsType.LINUX, Generation.V1, "x64", "Standard", user=keys, host=keys
        )
        guest = SshGuest(frame.login(1), self.qemu.process.alive)
        self.machine = LocalMachine(
            self.qemu.process,
            guest,
            frame,
            self.memory,
            self.directory,
            None,
            self.store,
            self.events.append,
            CLOCK,
            1,
        )

    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note)]

    def verify(self, key: str, kind: str = "machine") -> None:
        entry = self.store.find(key, kind)
        assert entry is not None
        self.store.verify(entry)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.qemu.end()
    made.memory.close()
    made.store.release()


def test_checkpoints_lie_on_one_another_and_the_machine_goes_on(setting: Setting) -> None:
    os.pwrite(setting.memory.descriptor, b"what it knew", MIB)
    setting.machine.checkpoint(ONE, "one")
    setting.machine.checkpoint(TWO, "two")
    assert setting.store.settle() == []
    assert setting.qemu.status == "running"
    assert setting.notes() == []
    for key in (ONE, TWO):
        setting.verify(key)
    entry = setting.store.find(TWO, "machine")
    assert entry is not None
    assert (entry.directory / "ram").read_bytes()[MIB:].startswith(b"what it knew")
    assert (entry.directory / "seed.img").read_bytes() == b"seed"


@pytest.mark.parametrize(
    "step", ["stop", "blockdev-add", "transaction", "migrate-set-capabilities", "getfd", "migrate", "query-migrate"]
)
def test_a_checkpoint_that_fails_at_any_step_costs_that_checkpoint_only(setting: Setting, step: str) -> None:
    setting.qemu.refuses = {step}
    setting.machine.checkpoint(ONE, "one")
    assert setting.qemu.status == "running"
    assert setting.notes() == [f"no checkpoint was kept: QEMU refused `{step}`: refused"]
    setting.qemu.refuses = set()
    setting.machine.checkpoint(TWO, "two")
    assert setting.store.settle() == []
    assert not setting.store.has(ONE)
    setting.verify(TWO)


def test_a_state_that_qemu_cannot_write_costs_the_checkpoint_only(setting: Setting) -> None:
    setting.qemu.migration = "failed"
    setting.machine.checkpoint(ONE, "one")
    setting.qemu.migration = "completed"
    setting.machine.checkpoint(TWO, "two")
    setting.store.settle()
    assert "QEMU could not write its state" in setting.notes()[0]
    assert {kept.key for kept in setting.store.list()} == {TWO}
    setting.verify(TWO)


def test_a_save_that_takes_too_long_leaves_the_machine_running(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_module, "SAVE_SECONDS", 0.2)
    setting.qemu.migration = "active"
    setting.machine.checkpoint(ONE, "one")
    assert "took too long" in setting.notes()[0]
    assert setting.qemu.status == "running"


def test_a_full_disk_costs_the_checkpoint_only(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: int, target: int) -> None:
        os.write(target, b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(memory_module, "copy", full)
        setting.machine.checkpoint(ONE, "one")
    assert "No space left on device" in setting.notes()[0]
    assert list(setting.store.root.glob("*/ram")) == []
    setting.machine.checkpoint(TWO, "two")
    setting.store.settle()
    setting.verify(TWO)


def test_a_cache_that_cannot_be_written_costs_no_build(setting: Setting) -> None:
    setting.store.root.write_text("a file where the directory should be")
    setting.machine.checkpoint(ONE, "one")
    assert "no checkpoint was kept" in setting.notes()[0]
    setting.qemu.power_off()
    disk = setting.machine.capture(DISK, Deadline.after(CLOCK, 20, "the capture"))
    assert "the captured disk is not kept" in setting.notes()[1]
    assert disk.location == str(active(setting.directory, 0, 0))
    setting.store.root.unlink()


def test_a_machine_that_died_is_not_called_a_failed_checkpoint(setting: Setting) -> None:
    setting.qemu.die()
    setting.qemu.refuses = {"stop"}
    with pytest.raises(PlatformError, match="the build VM is gone: QEMU ended with signal 9"):
        setting.machine.checkpoint(ONE, "one")


def test_a_captured_disk_lies_on_the_checkpoint_below_it(setting: Setting) -> None:
    setting.machine.checkpoint(ONE, "one")
    setting.qemu.power_off()
    disk = setting.machine.capture(DISK, Deadline.after(CLOCK, 20, "the capture"))
    assert setting.store.settle() == []
    setting.verify(DISK, "disk")
    assert disk.virtual_size == 16 * MIB
    assert Path(disk.location).parent.parent == setting.store.root


def test_a_guest_that_qemu_has_stopped_is_told_of_while_its_end_is_waited_for(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagewright.platforms.local.process.LOOK_SECONDS", 0.0)
    setting.qemu.status = "io-error"
    with pytest.raises(PlatformError, match="no space is left"):
        setting.machine.capture(DISK, Deadline.after(CLOCK, 60, "the capture"))


def test_an_ended_machine_holds_no_memory(setting: Setting) -> None:
    setting.machine.end()
    assert setting.qemu.process.ended()
    assert setting.memory.descriptor == -1
    setting.machine.end()


def test_a_kept_machine_is_reached_without_trust_on_first_use(setting: Setting) -> None:
    setting.machine.keep()
    known = setting.directory / "known_hosts"
    assert known.read_text() == "[127.0.0.1]:1 public\n"
    assert f"-o UserKnownHostsFile={known} -p 1 " in setting.machine.access()
    assert (setting.directory / "id_ed25519").stat().st_mode & 0o777 == 0o600
