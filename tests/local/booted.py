"""A machine that boots a disk as a stranger would: by its own boot loader, with a new user, over the OpenSSH client.

Shares no code with the product on purpose.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

USER = "stranger"
BOOT_SECONDS = 900.0


class Booted:
    def __init__(self, disk: Path, work: Path, *, uefi: bool, disk_format: str) -> None:
        work.mkdir()
        self._work = work
        self._key = work / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)
        overlay, seed = work / "disk.qcow2", self._seed()
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", disk_format, "-b", disk.resolve(), overlay], check=True
        )
        self.port = _free_port()
        firmware: list[str] = []
        if uefi:
            variables = work / "vars.fd"
            shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
            firmware = [
                *("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"),
                *("-drive", f"if=pflash,unit=1,format=raw,file={variables}"),
            ]
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi"),
                *("-cpu", "max,la57=off", "-smp", "1", "-m", "1024", "-display", "none", *firmware),
                *("-serial", f"file:{work / 'serial.log'}"),
                *("-drive", f"if=virtio,format=qcow2,file={overlay},cache=unsafe"),
                *("-drive", f"if=virtio,format=raw,file={seed},readonly=on"),
                *("-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
            ],
            stdin=subprocess.DEVNULL,
        )
        self._wait()

    def ask(self, command: str) -> str:
        """What a command prints, as root; it must end well."""
        done = self._ssh(f"sudo sh -c {_quoted(command)}")
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ssh(self, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20"]
        given = [word for option in options for word in ("-o", option)]
        return subprocess.run(
            ["ssh", *given, "-i", self._key, "-p", str(self.port), f"{USER}@127.0.0.1", command],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def _wait(self) -> None:
        until, pause = time.monotonic() + BOOT_SECONDS, threading.Event()
        while time.monotonic() < until:
            assert self._process.poll() is None, "QEMU has ended"
            try:
                if self._ssh("cloud-init status --wait").returncode in (0, 2):
                    return
            except subprocess.TimeoutExpired:
                pass
            pause.wait(1)
        raise AssertionError("no SSH: " + (self._work / "serial.log").read_text(errors="replace")[-3000:])

    def _seed(self) -> Path:
        public = self._key.with_suffix(".pub").read_text().strip()
        user = {
            "name": USER,
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/sh",
            "ssh_authorized_keys": [public],
        }
        (self._work / "user-data").write_text("#cloud-config\n" + json.dumps({"users": [user]}))
        (self._work / "meta-data").write_text(json.dumps({"instance-id": "stranger-1", "local-hostname": "stranger"}))
        seed = self._work / "seed.img"
        subprocess.run(
            ["mformat", "-C", "-i", seed, "-T", "2880", "-h", "2", "-s", "18", "-v", "CIDATA", "::"], check=True
        )
        subprocess.run(["mcopy", "-i", seed, self._work / "user-data", self._work / "meta-data", "::"], check=True)
        return seed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
