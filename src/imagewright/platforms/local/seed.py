"""The NoCloud seed: what cloud-init in the guest is told at its first boot."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from imagewright.communicators.keys import KeyPair
from imagewright.core.errors import PlatformError
from imagewright.disks import tools
from imagewright.platforms.local import disk_names
from imagewright.platforms.local.debian_mirror import GuestApt

USER = "imagewright"
KEY_COMMENT = "imagewright-build"
"""Ends the public key's line, so that the deprovisioning finds it."""

BIN = "/dev/shm/imagewright"
"""In memory, and, other than /run, executable everywhere."""

KEPT = "/var/lib/imagewright"

VERSION = "seed.v7"
"""Counts in the first key of a chain: another seed makes another first boot."""


@dataclass(frozen=True, slots=True)
class Seed:
    """The build user's key pair, the host key that the guest shall answer with, and how many data disks it has."""

    instance: str
    user: KeyPair
    host: KeyPair
    apt: GuestApt
    data_disks: int = 0

    def user_data(self) -> str:
        """A `#cloud-config` document; JSON is YAML."""
        config: dict[str, object] = {
            "users": [
                {
                    "name": USER,
                    "shell": "/bin/bash",
                    "sudo": "ALL=(ALL) NOPASSWD:ALL",
                    "lock_passwd": True,
                    "ssh_authorized_keys": [self.user.public],
                }
            ],
            "ssh_pwauth": False,
            "ssh_keys": {"ed25519_private": self.host.private, "ed25519_public": self.host.public},
            "ssh_deletekeys": True,
            "ssh_genkeytypes": [],
            "ssh": {"emit_keys_to_console": False},
            "no_ssh_fingerprints": True,
        }
        config["write_files"] = [
            {"path": f"{BIN}/waagent", "permissions": "0755", "content": _agent()},
            {"path": "/run/imagewright/environment", "content": f"PATH={BIN}:$PATH\npower_off=quick\n"},
        ]
        at_boot = [disk_names.command(self.data_disks)] if self.data_disks else []
        if self.apt.everywhere:
            config["apt"] = self.apt.everywhere
        if self.apt.debian:
            at_boot.append(_in_debian(f"apt: {json.dumps(self.apt.debian)}"))
        if self.apt:
            at_boot.append(_keep_apt("before"))
            config["runcmd"] = [_keep_apt("after")]
        config["bootcmd"] = at_boot
        return "#cloud-config\n" + json.dumps(config, indent=1) + "\n"

    def meta_data(self) -> str:
        return json.dumps({"instance-id": self.instance, "local-hostname": "imagewright"}) + "\n"


@cache
def _agent() -> str:
    return resources.files("imagewright.platforms.local").joinpath("waagent.sh").read_text("utf-8")


def _in_debian(line: str) -> str:
    """Add a line to cloud-init's configuration, which is in memory, where the guest is Debian. The commands of
    `bootcmd` run before the stage that reads `apt`."""
    add = f"printf '\\n%s\\n' {shlex.quote(line)} >> /run/cloud-init/cloud.cfg"
    return f"! grep -qx ID=debian /etc/os-release || {add}"


def _keep_apt(when: str) -> str:
    """Copy the package sources before and after cloud-init changes them, so that they can be put back; to the disk,
    for a guest that reboots, and only once. What finishes the image removes the copies."""
    kept = f"{KEPT}/{when}"
    make = f"mkdir -p -m 700 {KEPT} && mkdir -p {kept}"
    copy = f"{make} && cd /etc/apt && cp -a sources.list* mirrors apt.conf.d {kept}/ 2>/dev/null"
    if when == "before":
        return f"[ -d {kept} ] || {{ {copy}; }}; true"
    same = 'cmp -s "$file" "../before/$file" && rm "$file"'
    return f"{copy}; cd {kept} && find . -type f | while read -r file; do {same}; done; true"


def write(seed: Seed, directory: Path) -> Path:
    """Make the seed disk (a FAT file system labelled CIDATA) in `directory`, readable by its owner only."""
    image = directory / "seed.img"
    texts = {"user-data": seed.user_data(), "meta-data": seed.meta_data()}
    image.touch(mode=0o600)
    _mtools("mformat", "-C", "-i", str(image), "-T", "2880", "-h", "2", "-s", "18", "-v", "CIDATA", "::")
    for name, text in texts.items():
        _mtools("mcopy", "-i", str(image), "-", f"::{name}", stdin=text)
    return image


def _mtools(*command: str, stdin: str = "") -> None:
    try:
        subprocess.run(command, input=stdin.encode(), check=True, capture_output=True)
    except FileNotFoundError as error:
        raise PlatformError(f"{command[0]} is not installed", hint=tools.install(command[0])) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise PlatformError(f"the seed disk could not be made: {command[0]}: {said}") from error
