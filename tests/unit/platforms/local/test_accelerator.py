from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from imagewright.core.choices import Accelerator
from imagewright.core.clock import Deadline, SystemClock
from imagewright.engine.waiting import backoff, poll
from imagewright.platforms.local import accelerator, accelerator_probe

Result = TypeVar("Result")
QEMU = "qemu-system-x86_64"
SOURCE = Path(accelerator_probe.__file__).with_name("accelerator_probe.S")
needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason="needs qemu-system-x86_64")


@pytest.mark.skipif(not (shutil.which("as") and shutil.which("ld")), reason="needs binutils")
def test_the_boot_sector_is_what_its_source_says(tmp_path: Path) -> None:
    subprocess.run(["as", "--64", "-o", tmp_path / "probe.o", SOURCE], check=True)
    link = ["ld", "-Ttext", "0x7c00", "--oformat", "binary", "-o", tmp_path / "probe.bin", tmp_path / "probe.o"]
    subprocess.run(link, check=True)
    assert (tmp_path / "probe.bin").read_bytes() == accelerator_probe.BOOT_SECTOR


def test_the_boot_sector_is_one() -> None:
    assert len(accelerator_probe.BOOT_SECTOR) == 512
    assert accelerator_probe.BOOT_SECTOR.endswith(b"\x55\xaa")


@needs_qemu
@pytest.mark.qemu
def test_software_emulation_passes_the_probe() -> None:
    assert accelerator_probe.probe(QEMU, "tcg", "max", seconds=60) == ""


@needs_qemu
def test_a_broken_accelerator_is_told_by_its_complaint() -> None:
    assert accelerator_probe.probe(QEMU, "tcg", "no-such-cpu", seconds=60).startswith("QEMU ended with exit code 1: ")


def test_a_missing_qemu_is_a_complaint_not_a_traceback() -> None:
    assert "did not start" in accelerator_probe.probe("/no/such/qemu", "tcg", "max")


def test_what_the_user_asks_for_is_not_probed(tmp_path: Path) -> None:
    assert accelerator.choose(tmp_path, "/no/such/qemu", Accelerator.KVM).arguments == ("-accel", "kvm")
    assert accelerator.choose(tmp_path, "/no/such/qemu", Accelerator.TCG).name == "tcg"


def test_without_kvm_it_is_emulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "no-kvm")
    chosen = accelerator.choose(tmp_path, "/no/such/qemu")
    assert (chosen.name, chosen.why) == ("tcg", "this machine has no /dev/kvm")


def fake_qemu(folder: Path, body: str) -> str:
    path = folder / "qemu"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo QEMU 1.0 && exit\necho run >>{folder}/runs\n{body}\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "KVM", device)
    return device


@pytest.mark.usefixtures("kvm")
def test_a_kvm_that_works_is_chosen_with_the_host_cpu_and_remembered(tmp_path: Path) -> None:
    first = accelerator.choose(tmp_path / "home", fake_qemu(tmp_path, "echo IMAGEWRIGHT-64; exit 85"))
    (tmp_path / "other").mkdir()  # the probes that were not needed may still run the first
    second = accelerator.choose(tmp_path / "home", fake_qemu(tmp_path / "other", "exit 1"))
    assert (first.name, first.cpu) == ("kvm", "host")
    assert second == first


@pytest.mark.usefixtures("kvm")
def test_the_cpus_are_probed_at_once_and_the_first_that_works_is_taken(tmp_path: Path) -> None:
    """`host` ends only after all three have begun: one after the other, none would."""
    all_run = f"until [ $(wc -l <{tmp_path}/runs) = 3 ]; do :; done"
    body = f'case "$*" in *host*) {all_run} ;; *max*) echo no >&2; exit 1 ;; esac'
    qemu = fake_qemu(tmp_path, f"{body}\necho IMAGEWRIGHT-64; exit 85")
    assert accelerator.choose(tmp_path / "home", qemu).cpu == "host"
    (tmp_path / "other").mkdir()
    broken = fake_qemu(tmp_path / "other", 'case "$*" in *qemu64*) echo IMAGEWRIGHT-64; exit 85 ;; esac; exit 1')
    assert accelerator.choose(tmp_path / "other" / "home", broken).cpu == "qemu64"


def test_a_probe_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    """A guest that hangs under KVM would otherwise stay for good."""
    qemu = fake_qemu(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 600")
    code = f"from imagewright.platforms.local.accelerator_probe import probe; probe({qemu!r}, 'kvm', 'host', 600)"
    with subprocess.Popen([sys.executable, "-c", code]) as prober:
        pid = within(20, lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        prober.kill()
    within(20, lambda: not Path("/proc", pid).exists() or " Z " in Path("/proc", pid, "stat").read_text())


def within(seconds: float, look: Callable[[], Result]) -> Result:
    """What `look` says once it says something."""
    return poll(lambda: look() or None, Deadline.after(SystemClock(), seconds, "what is waited for"), backoff(0.01))


@pytest.mark.usefixtures("kvm")
def test_a_kvm_that_fails_with_every_cpu_is_not_chosen(tmp_path: Path) -> None:
    qemu = fake_qemu(tmp_path, "echo failed to set MSR >&2; kill -ABRT $$")
    chosen = accelerator.choose(tmp_path / "home", qemu)
    assert chosen.name == "tcg"
    assert "QEMU ended with signal 6: failed to set MSR" in chosen.why


@pytest.mark.usefixtures("kvm")
def test_a_verdict_against_kvm_is_doubted_after_a_day(tmp_path: Path) -> None:
    marker = tmp_path / "works"
    qemu = fake_qemu(tmp_path, f"[ -e {marker} ] || {{ echo busy >&2; exit 1; }}; echo IMAGEWRIGHT-64; exit 85")
    assert accelerator.choose(tmp_path, qemu).name == "tcg"
    marker.touch()
    assert accelerator.choose(tmp_path, qemu).name == "tcg"
    memory = tmp_path / "accelerator.json"
    known = json.loads(memory.read_text())
    for one in known.values():
        one["at"] -= 86400
    memory.write_text(json.dumps(known))
    assert accelerator.choose(tmp_path, qemu).name == "kvm"


@pytest.mark.usefixtures("kvm")
def test_a_kvm_that_hangs_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator_probe.probe, "__defaults__", (0.3,))
    qemu = fake_qemu(tmp_path, "exec sleep 60")
    assert "hung for 0.3 s" in accelerator.choose(tmp_path / "home", qemu).why


@pytest.mark.usefixtures("kvm")
@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 3}', "\x00"])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, content: str) -> None:
    qemu = fake_qemu(tmp_path, "echo IMAGEWRIGHT-64; exit 85")
    (tmp_path / "accelerator.json").write_text(content)
    assert accelerator.choose(tmp_path, qemu).name == "kvm"
    assert json.loads((tmp_path / "accelerator.json").read_text())
