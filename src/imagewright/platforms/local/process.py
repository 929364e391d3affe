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

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import BuildTimeoutError, PlatformError
from imagewright.core.ownership import Owned, Owner
from imagewright.engine.waiting import backoff, poll
from imagewright.platforms.local.command import MachineConfig, arguments
from imagewright.platforms.local.host import FREE_SPACE, HostError, on_host
from imagewright.platforms.local.qmp import Qmp, QmpError

KIND = "process"
START_SECONDS = 60.0
LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
ENDING_SECONDS = 2.0
STALLED = {
    "io-error": ("its disk could not be written: no space is left", FREE_SPACE),
    "internal-error": ("the accelerator cannot run it any further", "try `--accelerator tcg`"),
}
"""States in which QEMU keeps a guest stopped, and what is the matter then."""


class QemuProcess:
    """One running QEMU and its monitor."""

    def __init__(self, process: subprocess.Popen[bytes], qmp: Qmp, log: Path, owned: Owned, clock: Clock) -> None:
        self._process = process
        self.qmp = qmp
        self._log = log
        self.owned = owned
        self._clock = clock
        self._looked = clock.monotonic()

    def alive(self) -> None:
        """Raises HostError when QEMU has ended, with its last words, or when it has stopped its guest for good."""
        code = self._process.poll()
        if code is not None:
            raise HostError(
                f"the build VM is gone: QEMU ended with {_ending(code)}{_last_words(self._log)}",
                hint="look for the out-of-memory killer, and try `--memory` with less"
                if code == -signal.SIGKILL
                else "look at what it says, and at `--memory`, `--cpus` and `--accelerator`",
            )
        self._not_stalled()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_end(self, deadline: Deadline) -> None:
        """Raises HostError when it was not the guest that ended it, or when the end will not come, because QEMU has
        stopped its guest."""

        def look() -> bool | None:
            if self.ended():
                if self._process.poll() != 0:
                    self.alive()
                return True
            self._not_stalled()
            return None

        poll(look, deadline, backoff(0.02, 1.5, 0.25))

    def _not_stalled(self) -> None:
        """Ask QEMU, about once a second. No answer is no bad one: it may be busy, or about to end."""
        if self._clock.monotonic() - self._looked < LOOK_SECONDS:
            return
        try:
            answer = Deadline.after(self._clock, ANSWER_SECONDS, "QEMU's answer")
            status = self.qmp.execute("query-status", answer)["status"]
        except (PlatformError, BuildTimeoutError):
            return
        finally:
            self._looked = self._clock.monotonic()
        if status in STALLED:
            reason, hint = STALLED[status]
            raise HostError(f"the build VM has stopped: {reason}", hint=hint)

    def ssh_port(self, deadline: Deadline) -> int:
        """The port of 127.0.0.1 that leads to the guest's port 22."""
        said = self.qmp.execute("human-monitor-command", deadline, {"command-line": "info usernet"})
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b", said)
        if found is None:
            raise PlatformError(f"QEMU does not say which port it forwards: {said!r}")
        return int(found.group(1))

    def kill(self) -> None:
        """End it, unless it has ended. May be called again."""
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
        with on_host(f"{config.binary} could not be started"), log.open("wb") as said:
            process = subprocess.Popen(
                arguments(config),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=directory,
                pass_fds=(theirs.fileno(), *pass_fds),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    running = QemuProcess(process, Qmp(ours), log, owned, deadline.clock)
    try:
        running.qmp.greet(deadline.sooner(START_SECONDS, "the start of QEMU", error=HostError))
    except QmpError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
        running.kill()
        running.alive()
        raise
    except BaseException:
        running.kill()
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


def last_lines(log: Path, most: int) -> tuple[str, ...]:
    """The end of a log, or nothing when it cannot be read."""
    try:
        return tuple(log.read_text("utf-8", "replace").strip().splitlines()[-most:])
    except OSError:
        return ()


def _last_words(log: Path) -> str:
    return "".join(f": {line}" for line in last_lines(log, 1))
