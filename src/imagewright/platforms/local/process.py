"""A QEMU process: started in a session of its own, found again by its pid file's path, gone when we say so."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned, Owner
from imagewright.engine.waiting import backoff, poll
from imagewright.platforms.local.command import MachineConfig, arguments
from imagewright.platforms.local.qmp import Qmp

KIND = "process"
START_SECONDS = 60.0


class QemuProcess:
    """One running QEMU and its monitor."""

    def __init__(self, process: subprocess.Popen[bytes], qmp: Qmp, log: Path, owned: Owned) -> None:
        self._process = process
        self.qmp = qmp
        self._log = log
        self.owned = owned

    def alive(self) -> None:
        """Raises PlatformError with QEMU's own last words when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise PlatformError(
                f"the build VM is gone: QEMU ended with {_ending(code)}{_last_words(self._log)}",
                hint="on signal 9 look for the out-of-memory killer, and try --memory with less",
            )

    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_end(self, deadline: Deadline) -> None:
        poll(lambda: self.ended() or None, deadline, backoff(0.02, 1.5, 0.25))

    def ssh_port(self, deadline: Deadline) -> int:
        """The port of 127.0.0.1 that leads to the guest's port 22."""
        said = self.qmp.execute("human-monitor-command", deadline, {"command-line": "info usernet"})
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b", said)
        if found is None:
            raise PlatformError(f"QEMU does not say which port it forwards: {said!r}")
        return int(found.group(1))

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self.qmp.close()


def start(
    configure: Callable[[int], MachineConfig],
    directory: Path,
    owner: Owner,
    deadline: Deadline,
    pass_fds: tuple[int, ...] = (),
) -> QemuProcess:
    """Start QEMU with the configuration that `configure` makes for a monitor descriptor, and greet its monitor."""
    ours, theirs = socket.socketpair()
    config = configure(theirs.fileno())
    log = directory / "qemu.log"
    owned = owner.own(Owned("local", KIND, str(config.pid_file)))
    try:
        with log.open("wb") as said:
            process = subprocess.Popen(
                arguments(config),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=directory,
                pass_fds=(theirs.fileno(), *pass_fds),
                start_new_session=True,
            )
    except OSError as error:
        ours.close()
        raise PlatformError(
            f"{config.binary} could not be started: {error.strerror}", hint="`script/build` installs QEMU"
        ) from error
    finally:
        theirs.close()
    running = QemuProcess(process, Qmp(ours), log, owned)
    try:
        running.qmp.greet(deadline.sooner(START_SECONDS, "the start of QEMU", error=PlatformError))
    except BaseException:
        process.kill()
        process.wait()
        ours.close()
        running.alive()
        raise
    return running


def delete(owned: Owned, deadline: Deadline) -> None:
    """Kill the QEMU that was started with this pid file, whoever started it; none is no error."""
    while found := _pids(owned.id):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if _pids(owned.id):
            deadline.wait(0.05)


def _pids(pid_file: str) -> list[int]:
    """Living processes that have `-pidfile pid_file` on their command line: no pid is trusted that may be reused."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        wanted = pid_file.encode()
        if state != "Z" and any(a == b"-pidfile" and b == wanted for a, b in itertools.pairwise(words)):
            found.append(int(entry.name))
    return found


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
