"""The Debian that is bootstrapped here: clean, at home in both generations, able to renew its boot loaders."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from owner import Owner

from imagewright.core.actions import Reboot
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.origin import Origin
from imagewright.core.plan import ExactSource, Generation, MachineSpec, Optimization, Plan, PlatformImage, Validation
from imagewright.disks import tools
from imagewright.platforms import Settings
from imagewright.platforms.local.platform import LocalPlatform

needed = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "debugfs")
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(any(tools.which(name) is None for name in needed), reason="needs QEMU and mmdebstrap"),
]

ROOT_OFFSET = 128 << 20
HOME = Path(os.environ.get("IMAGEWRIGHT_HOME") or Path.home() / ".local/share/imagewright")
CLOCK = SystemClock()


def plan_for(generation: Generation) -> Plan:
    source = PlatformImage("Debian", "debian-12", "12" if generation is Generation.V1 else "12-gen2", "latest")
    machine = MachineSpec(os_disk_size_gb=6)
    return Plan("base", Origin("base"), source, machine, (), Validation(), Optimization(), ())


@dataclass
class Here:
    """This machine as a platform, with a deadline for everything."""

    work: Path

    def __post_init__(self) -> None:
        self.deadline = Deadline.after(CLOCK, 3600, "the test")
        self.platform = LocalPlatform(Settings(home=HOME, work=self.work), lambda _: None, CLOCK)

    def source(self, generation: Generation) -> ExactSource:
        plan = plan_for(generation)
        return self.platform.resolve(plan.source, plan, self.deadline)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return Here(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def raw(here: Here) -> Iterator[Path]:
    path = here.work / "disk.raw"
    disk = here.source(Generation.V1).location
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, path], check=True)
    yield path
    path.unlink()


def debugfs(raw: Path, request: str) -> str:
    argv = [tools.which("debugfs") or "debugfs", "-R", request, f"{raw}?offset={ROOT_OFFSET}"]
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout


def names(raw: Path, folder: str) -> set[str]:
    listed = debugfs(raw, f"ls -p {folder}").split("\n")
    return {line.split("/")[5] for line in listed if line.startswith("/")} - {".", ".."}


def test_it_belongs_to_no_machine_yet(raw: Path) -> None:
    assert debugfs(raw, "cat /etc/machine-id") == ""
    assert debugfs(raw, "cat /etc/hostname") == ""
    assert not {name for name in names(raw, "/etc/ssh") if name.startswith("ssh_host_")}
    assert names(raw, "/var/lib/cloud") == set()
    assert names(raw, "/home") == set()
    assert names(raw, "/root") <= {".bashrc", ".profile", ".ssh"}
    assert names(raw, "/root/.ssh") == set()


def test_nothing_of_the_bootstrap_is_left(raw: Path) -> None:
    assert names(raw, "/var/lib/apt/lists") <= {"partial"}
    assert names(raw, "/var/cache/apt") <= {"archives"}
    assert names(raw, "/var/cache/apt/archives") <= {"partial", "lock"}
    for folder in ("/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys", "/mnt", "/var/log/apt"):
        assert names(raw, folder) == set(), folder
    assert not {name for name in names(raw, "/etc/apt/apt.conf.d") if "mmdebstrap" in name}
    assert not {name for name in names(raw, "/etc/dpkg/dpkg.cfg.d") if "mmdebstrap" in name}
    assert not names(raw, "/usr/sbin") & {"grub-probe.real", "policy-rc.d", "start-stop-daemon.REAL"}
    sources = debugfs(raw, "cat /etc/apt/mirrors/debian.list")
    assert sources == "http://deb.debian.org/debian\n"


def test_its_tables_and_its_filesystem_are_sound(raw: Path, tmp_path: Path) -> None:
    assert "No errors detected" in "\n".join(tools.run(["sfdisk", "--verify", raw]))
    filesystem = tmp_path / "root.ext4"
    copy = ["dd", f"if={raw}", f"of={filesystem}", "bs=1M", f"skip={ROOT_OFFSET >> 20}", "conv=sparse", "status=none"]
    subprocess.run(copy, check=True)
    tools.run(["e2fsck", "-fn", filesystem])


CHECKS = {
    "cloud-init is done": "cloud-init status --wait",
    "nothing has failed": 'test -z "$(systemctl --failed --no-legend --plain)" || { systemctl --failed; false; }',
    "the root filesystem has grown with the disk": "test $(df --output=size -BM / | tail -1 | tr -dc 0-9) -gt 5500",
    "the packages of the mirror can be had": "sudo apt-get update -qq && apt-cache show nginx-light >/dev/null",
    "names are resolved": "getent hosts deb.debian.org",
    "the agent waits for Azure": "test -x /usr/sbin/waagent && ! systemctl is-active walinuxagent",
    "update-grub works": "sudo update-grub && sudo grep -q root=UUID= /boot/grub/grub.cfg",
    "the loaders can be installed anew": "sudo /var/lib/dpkg/info/grub-cloud-amd64.postinst triggered",
    "it is itself again after that": "sudo dpkg --audit && sync",
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("generation", list(Generation))
def test_it_boots_works_and_boots_again_from_loaders_of_its_own(here: Here, generation: Generation) -> None:
    owner = Owner()
    try:
        machine = here.platform.boot(here.source(generation), plan_for(generation), owner, here.deadline)
        efi = "test -d /sys/firmware/efi"
        checks = {**CHECKS, "it is the right generation": efi if generation is Generation.V2 else f"! {efi}"}
        for what, command in checks.items():
            code, said = machine.guest.ask(command, here.deadline)
            assert code == 0, f"{what}: {said}"
        machine.guest.reboot(Reboot(timeout=1200), lambda *_: None, here.deadline)
        code, said = machine.guest.ask("cloud-init status --wait && cat /proc/cmdline", here.deadline)
        assert code == 0, said
        assert "root=UUID=" in said
    finally:
        for owned in reversed(owner.owned):
            here.platform.delete(owned, here.deadline)
