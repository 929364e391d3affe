"""Where guests live: one folder with the base layer and the disks, and the root rights to handle them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from armsim.certificates import Certificates
from armsim.guests.sandbox import Sandbox

HERE = Path(__file__).parent
NEEDED = ("unshare", "setpriv", "nsenter", "sudo", "tar", "/usr/sbin/sshd")


class CannotRunError(RuntimeError):
    """This machine cannot hold guests; the message says why."""


def root_command() -> list[str]:
    """What to put in front of a command that needs root: nothing for root, `sudo -n` where that works."""
    if os.geteuid() == 0:
        return []
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n"]
    raise CannotRunError("guests need root, or sudo without a password")


class Farm:
    """Disks (a folder each: the upper layer of an overlay) and the sandboxes that run on them."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._numbers = itertools.count(1)
        self._sandboxes: list[Sandbox] = []
        self.root: list[str] = []
        self.base = Path("/dev/shm")  # on a file system of its own: overlay layers must not lie inside one another

    @property
    def folder(self) -> Path:
        """Made on first use: a simulator without machines needs no root."""
        with self._lock:
            if self._folder is None:
                missing = [name for name in NEEDED if shutil.which(name) is None]
                if missing:
                    raise CannotRunError(f"guests need {', '.join(missing)}")
                self.root = root_command()
                self._sweep()
                folder = Path(tempfile.mkdtemp(prefix=f"armsim-{os.getpid()}-", dir="/var/tmp"))
                folder.chmod(0o755)
                self.base = Path(tempfile.mkdtemp(prefix=f"armsim-{os.getpid()}-", dir="/dev/shm"))
                self.base.chmod(0o755)
                self.as_root(sys.executable, HERE / "base.py", self.base, self._certificates.authority)
                self._folder = folder
            return self._folder

    def _sweep(self) -> None:
        """Remove what simulators left that were killed; their guests died with them."""
        for place in (Path("/var/tmp"), Path("/dev/shm")):
            for folder in place.glob("armsim-*-*"):
                owner = folder.name.split("-")[1]
                if owner.isdigit() and not Path("/proc", owner).exists():
                    self.as_root("rm", "-rf", folder)

    def as_root(self, *command: str | Path, capture: bool = False) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run([*self.root, *map(str, command)], capture_output=True, check=False)
        if done.returncode and not capture:
            raise CannotRunError(f"{command[0]} {command[1:]}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done

    def new_disk(self) -> Path:
        """The upper layer of a fresh system: empty."""
        path = self.folder / f"disk-{next(self._numbers)}"
        path.mkdir()
        path.chmod(0o755)
        return path

    def copy_disk(self, source: Path) -> Path:
        """All of it, with owners, whiteouts and overlay attributes."""
        path = self.folder / f"disk-{next(self._numbers)}"
        done = self.as_root("cp", "-a", "--reflink=auto", source, path, capture=True)
        if done.returncode and not path.exists():  # a file may vanish while a running machine is copied
            raise CannotRunError(f"cp: {done.stderr.decode(errors='replace')[-2000:]}")
        return path

    def remove_disk(self, disk: Path) -> None:
        self.as_root("rm", "-rf", disk)

    def pack(self, disk: Path, archive: Path) -> None:
        """The disk as a tar archive."""
        self.as_root("tar", "--xattrs", "--xattrs-include=*", "-C", disk, "-cf", archive, ".")
        if self.root:
            self.as_root("chown", str(os.getuid()), archive)

    def unpack(self, archive: Path) -> Path:
        disk = self.new_disk()
        self.as_root("tar", "--xattrs", "--xattrs-include=*", "-C", disk, "-xpf", archive)
        return disk

    def read(self, disk: Path, path: str) -> bytes | None:
        """A file as it lies on a disk, None if the disk does not hold it (the base layer is not looked into)."""
        done = self.as_root("cat", disk / path.lstrip("/"), capture=True)
        return None if done.returncode else done.stdout

    def sandbox(self, name: str, disk: Path) -> Sandbox:
        made = Sandbox(name, disk, self.folder, self.base, self.root)
        with self._lock:
            self._sandboxes.append(made)
        return made

    def running(self) -> list[Sandbox]:
        return [item for item in self._sandboxes if item.alive]

    def close(self) -> None:
        for item in self._sandboxes:
            item.stop()
        if self._folder is not None:
            self.as_root("rm", "-rf", self._folder, self.base)
