"""What the platform does with checkpoints that cannot be resumed: here no QEMU starts, the rest is real."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from owner import Owner
from small_plan import small_plan

from imagewright.communicators.keys import KeyPair
from imagewright.core.choices import Accelerator
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.disk import Disk
from imagewright.core.errors import CancelledError, DistributionError, PlatformError
from imagewright.core.events import Event, Note
from imagewright.core.plan import DiskFile, ExactSource, Generation, OsType, VhdTarget
from imagewright.core.result import RunOutput
from imagewright.disks import vhd
from imagewright.engine.waiting import backoff, poll
from imagewright.platforms import Settings
from imagewright.platforms.elsewhere import Elsewhere
from imagewright.platforms.local import accelerator, capacity, qemu_img
from imagewright.platforms.local.checkpoint import Base
from imagewright.platforms.local.machine import Frame
from imagewright.platforms.local.platform import LocalPlatform

MIB = 1 << 20
BELOW, ABOVE, DISK = "1" * 64, "2" * 64, "d" * 64
CLOCK = SystemClock()
PLAN = small_plan()


class Setting:
    """A platform with two checkpoints, one upon the other, and a captured disk upon both."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self.owner = Owner()
        settings = Settings(
            home=folder / "home", work=folder / "work", memory_mib=4, cpus=1, accelerator=Accelerator.TCG
        )
        self.platform = LocalPlatform(settings, self.events.append, CLOCK)
        self.store = self.platform.cache
        self.base = folder / "base.qcow2"
        qemu_img.create_empty(self.base, 16 * MIB)
        below = self.keep(BELOW, None, self.base)
        above = self.keep(ABOVE, below, below / "disk-0.qcow2")
        self.keep(DISK, above, above / "disk-0.qcow2", kind="disk")
        self.store.release()

    def keep(self, key: str, parent: Path | None, under: Path, kind: str = "machine") -> Path:
        directory = self.store.new(key, parent)
        qemu_img.create_overlay(under, "qcow2", directory / "disk-0.qcow2")
        if kind == "machine":
            for name in ("ram", "state", "seed.img"):
                (directory / name).write_bytes(b"x" * 4096)
        keys = KeyPair("private", "public")
        frame = Frame(
            Base.of(self.base), (16 * MIB,), OsType.LINUX, Generation.V1, "x64", "Standard", user=keys, host=keys
        )
        meta = self.store.describe(key, kind, f"note {key[0]}", frame.base, frame.sizes, frame.as_record())
        self.store.finish(directory, meta)
        return directory

    def resume(self, key: str) -> object:
        return self.platform.resume(key, PLAN, self.owner, Deadline.after(CLOCK, 60, "the build"))

    def directory(self, key: str) -> Path:
        (found,) = self.store.root.glob(f"{key[:16]}-*")
        return found

    def notes(self) -> list[str]:
        return [
            event.message for event in self.events if isinstance(event, Note) if "accelerator" not in event.message
        ]

    def kept(self) -> set[str]:
        return {kept.key for kept in self.store.list()}


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a QEMU of a shell script."""

    def write(body: str) -> None:
        path = tmp_path / "qemu"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setattr(capacity, "QEMU", str(path))

    return write


@pytest.fixture(autouse=True)
def no_descriptor_is_left(setting: Setting) -> Iterator[None]:
    """Each one of a machine's memory would hold gigabytes."""

    def memories() -> list[str]:
        links = []
        for entry in Path("/proc/self/fd").iterdir():
            try:
                links.append(str(entry.readlink()))
            except OSError:
                continue
        return [link for link in links if "imagewright-ram" in link]

    assert memories() == []
    yield
    assert memories() == []


def test_a_qemu_that_does_not_start_costs_no_checkpoint_and_is_tried_once(
    setting: Setting, qemu: Callable[[str], None], tmp_path: Path
) -> None:
    qemu(f"echo start >>{tmp_path}/starts; echo no such option >&2; exit 1")
    assert setting.resume(ABOVE) is None
    assert setting.resume(BELOW) is None
    assert (tmp_path / "starts").read_text() == "start\n"
    (note,) = setting.notes()
    assert note.startswith("the checkpoint `note 2` could not be resumed: the build VM is gone")
    assert "no such option" in note
    assert setting.kept() == {BELOW, ABOVE, DISK}


def test_a_host_without_qemu_img_costs_no_checkpoint(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_img.tools, "which", lambda name: None)
    assert setting.resume(ABOVE) is None
    assert setting.resume(BELOW) is None
    assert setting.platform.captured(DISK) is None
    assert setting.notes() == [
        "the checkpoint `note 2` could not be resumed: qemu-img is not installed",
        "the captured disk could not be used: qemu-img is not installed",
    ]
    assert setting.kept() == {BELOW, ABOVE, DISK}


def test_a_qemu_that_refuses_the_state_costs_no_checkpoint_and_the_one_below_is_tried(
    setting: Setting, qemu: Callable[[str], None]
) -> None:
    refusing = """
import json, re, socket, sys
monitor = socket.socket(fileno=int(re.search(r"id=monitor,fd=([0-9]+)", " ".join(sys.argv)).group(1)))
monitor.sendall(b'{"QMP": {}}\\n')
for line in monitor.makefile():
    said = json.loads(line)
    good = said["execute"] == "qmp_capabilities"
    answer = {"return": {}} if good else {"error": {"desc": "another machine"}}
    monitor.sendall(json.dumps({**answer, "id": said["id"]}).encode() + b"\\n")
"""
    qemu(f"exec python3 -c '{refusing}' \"$@\"".replace("b'{\"QMP\": {}}\\n'", 'b"{\\"QMP\\": {}}\\n"'))
    assert setting.resume(ABOVE) is None
    assert setting.resume(BELOW) is None
    assert ["another machine" in note for note in setting.notes()] == [True, True]
    assert setting.kept() == {BELOW, ABOVE, DISK}
    assert setting.platform._boot.running == {}


@pytest.mark.parametrize("name", ["ram", "state", "disk-0.qcow2"])
def test_a_damaged_one_is_discarded_whatever_its_damage_leads_to(
    setting: Setting, qemu: Callable[[str], None], name: str
) -> None:
    qemu("exit 1")
    (setting.directory(ABOVE) / name).write_bytes(b"damage")
    assert setting.resume(ABOVE) is None
    assert setting.notes() == [
        f"the checkpoint `note 2` is passed over: {setting.directory(ABOVE).name}/{name} is not what it was"
    ]
    assert ABOVE not in setting.kept()
    assert BELOW in setting.kept()


def test_a_missing_memory_is_damage(setting: Setting) -> None:
    (setting.directory(ABOVE) / "ram").unlink()
    assert setting.resume(ABOVE) is None
    assert "is passed over" in setting.notes()[0]


def test_a_damaged_captured_disk_is_discarded(setting: Setting) -> None:
    (setting.directory(DISK) / "disk-0.qcow2").write_bytes(b"damage")
    assert setting.platform.captured(DISK) is None
    assert setting.kept() == {BELOW, ABOVE}


def test_a_captured_disk_is_handed_out(setting: Setting) -> None:
    disk = setting.platform.captured(DISK)
    assert disk is not None
    assert disk.virtual_size == 16 * MIB
    assert setting.platform.captured(DISK) == disk


def test_two_captured_disks_of_one_key_are_not_the_same(setting: Setting) -> None:
    first = setting.platform.captured(DISK)
    (setting.directory(DISK) / "disk-0.qcow2").write_bytes(b"damage")
    assert setting.platform.captured(DISK) is None
    above = setting.directory(ABOVE)
    setting.keep(DISK, above, above / "disk-0.qcow2", kind="disk")
    second = setting.platform.captured(DISK)
    assert first is not None
    assert second is not None
    assert first.identity != second.identity


class Uploads:
    """A publisher that makes a VHD of a disk first, as that of Azure does."""

    name = "azure"

    def publish(
        self, disk: Disk, target: VhdTarget, source: object, plan: object, owner: object, deadline: Deadline
    ) -> RunOutput:
        size = disk.virtual_size
        try:
            vhd.export(Path(disk.location), "qcow2", size, Path(target.uri), identity="", check=deadline.check)
        except PlatformError as error:
            raise DistributionError(error.message) from error
        return RunOutput(target.run_output_name)


@pytest.mark.parametrize("elsewhere", [True, False])
@pytest.mark.parametrize("replaced", [True, False])
def test_what_lies_on_a_disk_that_was_replaced_meanwhile_is_never_published(
    setting: Setting, tmp_path: Path, *, replaced: bool, elsewhere: bool
) -> None:
    deadline = Deadline.after(CLOCK, 60, "the build")
    base, other, layer, vhd = (tmp_path / name for name in ("web.raw", "new.raw", "layer.qcow2", "web.vhd"))
    for number, disk in enumerate((base, other), start=1):
        disk.write_bytes(bytes([number]) * 510 + b"\x55\xaa" + bytes(MIB - 512))
    source = setting.platform.resolve(DiskFile(str(base)), PLAN, deadline)
    qemu_img.create_overlay(base, "raw", layer)
    if replaced:
        other.replace(base)
    made = Disk(str(layer), "qcow2", MIB, OsType.LINUX, Generation.V1)
    platform = Elsewhere(setting.platform, Uploads()) if elsewhere else setting.platform
    target = VhdTarget("web", uri=str(vhd))
    if replaced:
        with pytest.raises(DistributionError, match=r"web\.raw, on which this build stands, was changed or replaced"):
            platform.publish(made, target, source, PLAN, setting.owner, deadline)
    else:
        platform.publish(made, target, source, PLAN, setting.owner, deadline)
    assert vhd.exists() != replaced
    assert not [path.name for path in tmp_path.iterdir() if "part" in path.name]


def test_a_machine_that_cannot_be_made_says_why(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "work").touch()
    source = ExactSource(
        PLAN.source, "1", str(setting.base), OsType.LINUX, Generation.V1, "x64", "identity", 16 * MIB
    )
    with pytest.raises(PlatformError, match=r"the build VM could not be made: .*: Not a directory"):
        setting.platform.boot(source, PLAN, setting.owner, Deadline.after(CLOCK, 60, "the build"))


def test_the_accelerator_is_looked_for_as_soon_as_there_is_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qemu: Callable[[str], None]
) -> None:
    """The probe may take seconds, and nothing else of the preparation needs its answer."""
    monkeypatch.setattr(accelerator, "KVM", tmp_path)
    qemu(f'[ "$1" = --version ] && echo QEMU 1 && exit; echo probe >>{tmp_path}/probes; echo IMAGEWRIGHT-64; exit 85')
    settings = Settings(home=tmp_path / "other", work=tmp_path / "work")
    events: list[Event] = []
    platform = LocalPlatform(settings, events.append, CLOCK)
    assert tuple(platform.check(PLAN)) == ()
    probed = Deadline.after(CLOCK, 60, "the probe")
    poll(lambda: (tmp_path / "other" / "accelerator.json").exists() or None, probed, backoff(0.01))
    assert events == []
    source = ExactSource(PLAN.source, "1", "disk", OsType.LINUX, Generation.V1, "x64", "identity", MIB)
    assert ("accelerator", "kvm -accel kvm") in platform.machine_facts(source, PLAN.machine)
    assert [event.message for event in events if isinstance(event, Note)] == [
        "accelerator kvm: it ran a 64-bit probe"
    ]


def later(setting: Setting, note: str = "a note") -> Path:
    directory = setting.store.new("e" * 64, None)
    (directory / "disk-0.qcow2").write_bytes(b"x" * (64 * MIB))
    meta = setting.store.describe("e" * 64, "disk", note, Base.of(setting.base), (1,), {})
    setting.store.finish_later(directory, meta)
    return directory


def test_what_is_hashed_is_whole_when_the_build_is_over(setting: Setting) -> None:
    with setting.platform.using(()):
        later(setting)
    assert "e" * 64 in setting.kept()


def ended(setting: Setting, error: Exception) -> None:
    """A build that ends with `error` while something is still hashed."""
    with setting.platform.using(()):
        later(setting)
        raise error


def test_what_is_hashed_is_whole_though_the_build_failed(setting: Setting) -> None:
    with pytest.raises(PlatformError):
        ended(setting, PlatformError("no"))
    assert "e" * 64 in setting.kept()


def test_a_cancelled_build_waits_for_no_hash_and_leaves_nothing_half(setting: Setting) -> None:
    with pytest.raises(CancelledError):
        ended(setting, CancelledError("cancelled"))
    for directory in setting.store.root.iterdir():
        assert not directory.is_dir() or (directory / "meta.json").exists()


def test_what_could_not_be_kept_is_a_warning(setting: Setting) -> None:
    with setting.platform.using(()):
        shutil.rmtree(setting.store.new("f" * 64, None))
        setting.store.finish_later(
            setting.store.root / "gone", setting.store.describe("f" * 64, "disk", "step 1", Base("", 0, 0), (), {})
        )
    assert "the checkpoint `step 1` was not kept" in setting.notes()[0]
