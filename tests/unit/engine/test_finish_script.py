"""finish.sh as it is, in a small root of its own: its /etc is a file system that can be as full as a disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from imagewright.core.actions import Inline, Run
from imagewright.core.plan import OsType
from imagewright.engine.deprovision import deprovision

ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*ROOT, "true"], check=False).returncode != 0,
    reason="needs namespaces: root, or sudo without a password",
)

ENTER = """
set -e
cd "$1"
for name in bin sbin lib lib64; do [ ! -L "/$name" ] || ln -s "usr/$name" "$name"; done
mkdir -p usr dev run var/tmp
mount --bind /usr usr
mount --rbind /dev dev
mount -t tmpfs -o size=128k tmpfs etc-small
cp -a etc/. etc-small/
[ -z "$2" ] || head -c 128k /dev/zero > etc-small/ballast 2>/dev/null || true
mount --move etc-small etc
mkdir -p proc elsewhere "tmp/a share" "home/imagewright/share"
mount --bind elsewhere "tmp/a share"
mount --bind elsewhere home/imagewright/share
mount -t proc proc proc
code=0
chroot . env -i PATH=/usr/sbin:/usr/bin SUDO_USER=imagewright sh /tmp/script_1.sh || code=$?
cp -a etc seen
umount -R usr dev etc proc
chmod -R a+rwX .
exit $code
"""
USER = "imagewright"
KEY = "ssh-ed25519 AAAA imagewright-build\n"
FILES = {
    "etc/passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:1000:1000::/home/{USER}:/bin/sh\n",
    "etc/shadow": f"root:*:19000:0:99999:7:::\n{USER}:!:19000:0:99999:7:::\n",
    "etc/login.defs": "USERGROUPS_ENAB yes\n",
    "etc/group": f"root:x:0:\nadm:x:4:{USER}\n{USER}:x:1000:\n",
    "etc/gshadow": f"root:*::\nadm:*::{USER}\n{USER}:!::\n",
    "etc/subuid": f"{USER}:100000:65536\n",
    "etc/sudoers.d/90-cloud-init-users": f"# User rules for {USER}\n{USER} ALL=(ALL) NOPASSWD:ALL\n",
    "etc/sudoers.d/other": "%admin ALL=(ALL) ALL\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/hostname": "build\n",
    "etc/ssh/ssh_host_ed25519_key": "private",
    "root/.ssh/authorized_keys": KEY,
    f"home/{USER}/.ssh/authorized_keys": KEY,
    "tmp/left": "by a customizer",
    "var/log/journal/0123/system.journal": "entries",
    "var/log/app/app.log": "entries",
    "elsewhere/precious": "data",
    f"var/lib/systemd/linger/{USER}": "",
    "etc/.resolv.conf.systemd-resolved.bak": "nameserver 10.255.255.53",
}


class Image:
    def __init__(self, root: Path, script: str) -> None:
        self.root = root
        for name, text in {**FILES, "tmp/DeprovisioningScript.sh": script}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "etc-small").mkdir()

    def finish(self, *, full: bool = False) -> subprocess.CompletedProcess[str]:
        (action,) = deprovision(OsType.LINUX, trim=False)
        assert isinstance(action, Run)
        assert isinstance(action.script, Inline)
        (self.root / "tmp/script_1.sh").write_text(action.script.text)
        return subprocess.run(
            [*ROOT, "unshare", "--mount", "sh", "-c", ENTER, "sh", self.root, "yes" if full else ""],
            capture_output=True,
            text=True,
            check=False,
        )

    def says(self, name: str) -> str:
        return (self.root / "seen" / name).read_text()


def test_what_let_the_build_in_and_what_made_the_guest_itself_is_gone(tmp_path: Path) -> None:
    image = Image(tmp_path, "#!/bin/sh\necho deprovisioned\n")
    done = image.finish()
    assert (done.returncode, done.stderr) == (0, "")
    assert "deprovisioned" in done.stdout.splitlines()
    for name in ("passwd", "shadow", "group", "gshadow", "subuid", "sudoers.d/other"):
        assert USER not in image.says(name)
    assert image.says("machine-id") == ""
    assert image.says("hostname") == "localhost\n"
    assert not (tmp_path / "seen/sudoers.d/90-cloud-init-users").exists()
    assert list((tmp_path / "seen/ssh").iterdir()) == []
    assert not (tmp_path / "root/.ssh/authorized_keys").exists()
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "var/log/journal").iterdir()) == []
    assert (tmp_path / "var/log/app/app.log").read_text() == ""
    assert list((tmp_path / "var/lib/systemd/linger").iterdir()) == []
    assert not (tmp_path / "seen/.resolv.conf.systemd-resolved.bak").exists()
    assert (tmp_path / "elsewhere/precious").read_text() == "data"  # it was mounted in /tmp, and in the user's home


def test_a_full_disk_on_which_the_build_user_stays_is_no_success(tmp_path: Path) -> None:
    image = Image(tmp_path, "#!/bin/sh\n")
    done = image.finish(full=True)
    assert USER in image.says("passwd")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("The image could not be cleaned of its build: ")
    assert "/etc/passwd" in last


def test_a_deprovisioning_script_that_fails_fails_the_build_with_its_own_code(tmp_path: Path) -> None:
    image = Image(tmp_path, "exit 5\n")
    assert image.finish().returncode == 5
    assert USER in image.says("passwd")


def test_a_source_without_the_azure_agent_is_told_what_to_install(tmp_path: Path) -> None:
    (script,) = (Path(__file__).parents[3] / "src/imagewright/engine/linux").glob("deprovision_default.sh")
    done = Image(tmp_path, script.read_text()).finish()
    assert done.returncode == 127
    assert "install it with a Shell customizer" in done.stderr
