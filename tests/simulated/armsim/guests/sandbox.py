"""One guest: a root of its own over this machine's programs, in its own namespaces, with a real OpenSSH server."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
_NUMBERS = itertools.count(1)


class Sandbox:
    """A machine on a disk. `start` returns when it has booted; a reboot from inside starts it again by itself."""

    def __init__(self, name: str, disk: Path, folder: Path, base: Path, root: list[str]) -> None:
        self.name = name
        self.disk = disk
        self._root = root
        self._base = base
        self._home = folder / f"guest-{next(_NUMBERS)}"
        self._run = self._home / "run"
        self._process: subprocess.Popen[bytes] | None = None
        self._booted = threading.Event()
        self._wanted = False
        self._supervisor: threading.Thread | None = None
        self.boots = 0
        self.on_power_off: Callable[[], None] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(
        self, addresses: Sequence[str], port: int = 22, first: bytes | None = None, seconds: float = 30
    ) -> None:
        """Boot. `addresses`: where sshd listens (none: no sshd). `first`: run once, before sshd."""
        for part in ("root", "work", "run"):
            (self._home / part).mkdir(parents=True, exist_ok=True)
        self._run.chmod(0o755)
        shutil.copy(HERE / "init.sh", self._run / "init.sh")
        (self._run / "addresses").write_text("".join(f"{address}:{port}\n" for address in addresses))
        if first is not None:
            (self._run / "first.sh").write_bytes(first)
        self._wanted = True
        self._booted.clear()
        self._supervisor = threading.Thread(target=self._supervise, name=f"armsim-{self.name}", daemon=True)
        self._supervisor.start()
        if not self._booted.wait(seconds):
            self.stop()
            raise RuntimeError(f"guest {self.name} did not boot: {self._console()}")
        for address in addresses:
            self._await_listener(address, port)

    def stop(self) -> None:
        """Power off, at once and for good until the next start."""
        self._wanted = False
        self._kill()
        if self._supervisor is not None and self._supervisor is not threading.current_thread():
            self._supervisor.join(timeout=10)

    def restart(self) -> None:
        """Reboot from outside."""
        boots = self.boots
        self._kill()
        self.await_boot(boots + 1)

    def await_boot(self, number: int, seconds: float = 20) -> None:
        """Until the machine has come up for the `number`-th time."""
        pause = threading.Event()
        for _ in range(int(seconds / 0.01)):
            if self.boots >= number and self._booted.is_set():
                return
            pause.wait(0.01)
        raise RuntimeError(f"guest {self.name} did not come back")

    def kill_ssh(self) -> None:
        """The SSH server and its connections go away; the machine stays."""
        self.execute("pkill -KILL sshd; exit 0")

    def start_ssh(self) -> None:
        """The SSH server comes back where it was."""
        addresses = (self._run / "addresses").read_text().split()
        listen = " ".join(f"-o ListenAddress={address}" for address in addresses)
        self.execute(f"/usr/sbin/sshd -E /var/log/sshd.log {listen}")
        for address in addresses:
            host, _, port = address.rpartition(":")
            self._await_listener(host, int(port))

    def execute(self, script: str, user: str = "root", seconds: float = 600) -> tuple[int, bytes, bytes]:
        """Run a shell script inside, as the VM agent does: (exit code, stdout, stderr)."""
        command = self.inside("/bin/sh", "-c", script) if user == "root" else self.inside("su", user, "-c", script)
        done = subprocess.run(command, capture_output=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def inside(self, *command: str) -> list[str]:
        """The command line that runs `command` in the guest as root."""
        pid = (self._run / "pid").read_text().strip()
        variables = [
            "env",
            "-i",
            "-C",
            "/",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]
        return [*self._root, "nsenter", "-t", pid, "-m", "-u", "-i", "-p", "-r", *variables, *command]

    def _supervise(self) -> None:
        while self._wanted:
            for leftover in ("ready", "verb", "pid"):
                (self._run / leftover).unlink(missing_ok=True)
            subprocess.run(
                [*self._root, "rm", "-rf", str(self._home / "work" / "work")], check=False, capture_output=True
            )
            self._boot()
            verb = self._run / "verb"
            asked = verb.read_text().strip() if verb.exists() else ""
            if asked != "reboot" and self._wanted and not self._killed:
                self._wanted = False
                if self.on_power_off is not None:
                    self.on_power_off()

    def _boot(self) -> None:
        self._killed = False
        name = "".join(c for c in self.name if c.isalnum() or c == "-")[:63] or "vm"
        command = [
            *self._root,
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child=KILL",
            "/bin/sh",
            str(HERE / "boot.sh"),
            str(self._home / "root"),
            str(self._base),
            str(self.disk),
            str(self._home / "work"),
            str(self._run),
            name,
        ]
        with (self._home / "console").open("ab") as console:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        pause = threading.Event()
        while self._process.poll() is None and not (self._run / "ready").exists():
            pause.wait(0.01)
        if self._process.poll() is None:
            self.boots += 1
            self._booted.set()
        self._process.wait()
        self._booted.clear()

    def _kill(self) -> None:
        """The first process of the namespace, and with it all the others."""
        self._killed = True
        process, pid = self._process, self._run / "pid"
        if process is None or process.poll() is not None:
            return
        if pid.exists():
            subprocess.run([*self._root, "kill", "-KILL", pid.read_text().strip()], check=False, capture_output=True)
        elif self._root:
            subprocess.run([*self._root, "kill", "-KILL", f"-{process.pid}"], check=False, capture_output=True)
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def _console(self) -> str:
        path = self._home / "console"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def _await_listener(self, address: str, port: int) -> None:
        pause = threading.Event()
        for _ in range(500):
            try:
                socket.create_connection((address, port), timeout=1).close()
            except OSError:
                pause.wait(0.01)
            else:
                return
        log = self.execute("cat /var/log/sshd.log")[1].decode(errors="replace")
        raise RuntimeError(
            f"no SSH server at {address}:{port} (is another bound to the wildcard?): {log} {self._console()}"
        )
