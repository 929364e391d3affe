from __future__ import annotations

import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from imagewright.core.choices import Accelerator as Wanted
from imagewright.core.errors import PlatformError
from imagewright.core.report import Check, Verdict
from imagewright.disks.tools import PACKAGES
from imagewright.platforms import Settings
from imagewright.platforms.local import accelerator, doctor, firmware
from imagewright.platforms.local.accelerator import Accelerator

Usage = namedtuple("Usage", "total used free")


class Machine:
    """A machine to be looked at: `missing` tools, `free` bytes, an accelerator."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        self.missing: set[str] = set()
        self.free = 100 * doctor.GIB
        self.accelerator = Accelerator("kvm", (), "host", "it ran a 64-bit probe")
        self.home = home
        monkeypatch.setattr(doctor, "which", lambda name: None if name in self.missing else f"/usr/bin/{name}")
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: Usage(0, 0, self.free))
        monkeypatch.setattr(accelerator, "choose", self.choose)
        monkeypatch.setattr(firmware, "find", self.firmware)

    def choose(self, home: Path, qemu: str, wanted: Wanted) -> Accelerator:
        return Accelerator("kvm", (), "host", "as you asked") if wanted is Wanted.KVM else self.accelerator

    def firmware(self) -> tuple[Path, Path]:
        if "ovmf" in self.missing:
            raise PlatformError("no UEFI firmware")
        return Path("/code.fd"), Path("/vars.fd")

    def checks(self, wanted: Wanted = Wanted.AUTO) -> dict[str, Check]:
        settings = Settings(home=self.home, work=self.home / "builds", accelerator=wanted)
        return {check.name: check for check in doctor.checks(settings)}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path / "not" / "there" / "yet")


def test_a_good_machine(machine: Machine) -> None:
    assert {check.verdict for check in machine.checks().values()} == {Verdict.GOOD}


def test_without_qemu_nothing_can_be_built(machine: Machine) -> None:
    machine.missing.add("qemu-system-x86_64")
    checks = machine.checks()
    assert checks["qemu-system-x86_64"].verdict is Verdict.BAD
    assert "apt-get install qemu-system-x86" in checks["qemu-system-x86_64"].hint
    assert "accelerator" not in checks


@pytest.mark.parametrize("name", ["mmdebstrap", "ovmf"])
def test_what_only_some_sources_need_is_no_obstacle(machine: Machine, name: str) -> None:
    machine.missing.add(name)
    assert machine.checks()[name].verdict is Verdict.POOR
    assert machine.checks()[name].hint


def test_emulation_is_slow_but_builds(machine: Machine) -> None:
    machine.accelerator = Accelerator("tcg", (), "max", "this machine has no /dev/kvm")
    check = machine.checks()["accelerator"]
    assert (check.verdict, check.message) == (Verdict.POOR, "tcg: this machine has no /dev/kvm")


def test_who_asks_for_kvm_is_told_whether_it_works(machine: Machine) -> None:
    assert machine.checks(Wanted.KVM)["accelerator"].verdict is Verdict.GOOD
    machine.accelerator = Accelerator("tcg", (), "max", "KVM does not work here: a 64-bit guest hung for 3 s")
    check = machine.checks(Wanted.KVM)["accelerator"]
    assert (check.verdict, check.message) == (Verdict.BAD, machine.accelerator.why)


@pytest.mark.parametrize(("free", "verdict"), [(4, Verdict.BAD), (10, Verdict.POOR), (30, Verdict.GOOD)])
def test_space(machine: Machine, free: int, verdict: Verdict) -> None:
    machine.free = free * doctor.GIB
    assert machine.checks()["disk space"].verdict is verdict


def test_what_the_set_up_installs_has_every_program_that_a_build_runs() -> None:
    root = Path(__file__).parents[4]
    said = subprocess.run(
        ["bash", "-c", '. "$0/script/setup" && printf "%s\\n" "${build_packages[@]}"', root],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    essential = {"util-linux"}
    assert set(PACKAGES.values()) - essential <= set(said.split())
    assert {*doctor.TOOLS, *doctor.BOOTSTRAP_TOOLS, doctor.QEMU} <= set(PACKAGES)


def test_a_home_that_cannot_be_one(machine: Machine) -> None:
    machine.home = Path("/dev/null")
    check = machine.checks()["home"]
    assert (check.verdict, check.message) == (
        Verdict.BAD,
        "nothing can be kept in /dev/null: /dev/null cannot be written to",
    )
