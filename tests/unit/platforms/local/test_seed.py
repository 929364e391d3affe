"""What a guest is told at its boots."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagewright.communicators.keys import KeyPair
from imagewright.platforms.local.debian_mirror import GuestApt
from imagewright.platforms.local.seed import KEPT, Seed

KEYS = KeyPair("private", "public")
NOTHING = GuestApt({}, {})


def config(apt: GuestApt, data_disks: int = 0) -> dict[str, Any]:
    text = Seed("one", KEYS, KEYS, apt, data_disks).user_data()
    return json.loads(text.partition("\n")[2])  # type: ignore[no-any-return]


@pytest.mark.parametrize("system", ["debian", "ubuntu", "rhel"])
def test_only_a_debian_guest_is_told_of_debians_mirrors(tmp_path: Path, system: str) -> None:
    mirrors = {"primary": [{"arches": ["default"], "uri": "http://it's.example/debian"}]}
    made = config(GuestApt({"conf": "proxy"}, mirrors))
    release, there = tmp_path / "os-release", tmp_path / "cloud.cfg"
    release.write_text(f"PRETTY_NAME=x\nID={system}\nID_LIKE=debian\n")
    there.write_text("datasource_list: [ NoCloud ]")
    first = (
        made["bootcmd"][0].replace("/etc/os-release", str(release)).replace("/run/cloud-init/cloud.cfg", str(there))
    )
    subprocess.run(["sh", "-c", first], check=True)

    assert made["apt"] == {"conf": "proxy"}
    told = {"apt": mirrors} if system == "debian" else {}
    assert yaml.safe_load(there.read_text()) == {"datasource_list": ["NoCloud"], **told}


def test_the_package_sources_of_the_image_are_known_after_a_reboot_too(tmp_path: Path) -> None:
    apt, kept = tmp_path / "apt", tmp_path / "kept"
    (apt / "apt.conf.d").mkdir(parents=True)
    sources = apt / "sources.list"
    sources.write_text("the image's")

    def boot(when: str) -> None:
        for command in config(GuestApt({"conf": "x"}, {}))[when]:
            redirected = command.replace("/etc/apt", str(apt)).replace(KEPT, str(kept))
            subprocess.run(["sh", "-c", redirected], check=True)

    boot("bootcmd")
    sources.write_text("this build's")
    (apt / "apt.conf.d" / "94cloud-init-config").write_text("a proxy")
    boot("runcmd")
    boot("bootcmd")
    assert (kept / "before" / "sources.list").read_text() == "the image's"
    assert (kept / "after" / "sources.list").read_text() == "this build's"
    assert [path.name for path in (kept / "after" / "apt.conf.d").iterdir()] == ["94cloud-init-config"]
    assert kept.stat().st_mode & 0o777 == 0o700


def test_data_disks_have_their_names_of_azure_at_each_boot() -> None:
    assert config(NOTHING)["bootcmd"] == []
    (command,) = config(NOTHING, 2)["bootcmd"]
    assert 'KERNELS=="*:0:0:0", SYMLINK+="disk/azure/root"' in command
    assert 'KERNELS=="*:0:2:0", SYMLINK+="disk/azure/scsi1/lun1"' in command
    assert "lun2" not in command
