"""A Linux guest over SSH: scripts are run, files are written, reboots are waited for."""

from __future__ import annotations

import contextlib
import io
import selectors
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import paramiko

from imagewright.communicators.connection import Connection, DisconnectedError
from imagewright.communicators.lines import Lines
from imagewright.communicators.login import Login
from imagewright.communicators.scripts import prepare
from imagewright.core.actions import InstallUpdates, Reboot, Run
from imagewright.core.clock import Deadline
from imagewright.core.errors import FetchError, GuestError, PlatformError
from imagewright.core.events import Emit, Progress, Stream
from imagewright.core.ports import OutputSink
from imagewright.engine.waiting import backoff, poll

CHUNK = 1 << 16
STRIDE = 64 * CHUNK
"""Bytes: how far a long upload goes from one word about it to the next."""
LOOK_SECONDS = 0.5
TICK_SECONDS = 0.05
ANSWER_LINES, ANSWER_LONGEST = 1000, 1 << 14
SAID = 1 << 14
"""Bytes of what a command of ours says of its failure."""
NO_MORE = "a script may not reboot the guest or stop its SSH server; if none did, build again"
LINGER_SECONDS = 3.0
"""How long more output is waited for after the script has ended: what it left running may hold it open."""
LATE = 4 << 20
"""Bytes to read after the script has ended: more than is ever on its way, for what it left may print for ever."""


class SshGuest:
    """Satisfies core.ports.Guest. `alive` raises when the machine itself is gone, with the machine's own reason."""

    def __init__(self, login: Login, alive: Callable[[], None], emit: Emit = lambda _: None) -> None:
        self._connection = Connection(login, alive)
        self._alive = alive
        self._emit = emit
        self._scripts = 0

    def connect(self, deadline: Deadline) -> None:
        """Connect, however often it takes. Raises PlatformError at once when the host key is not the expected one."""
        self._connection.connect(deadline)

    def close(self) -> None:
        self._connection.close()

    # --- the port ---

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        self._scripts += 1
        prepared = prepare(run, content, self._scripts)
        self._receive(prepared.receive, prepared.content, deadline, "the script")
        try:
            return self._execute(prepared.execute, output, deadline)
        except DisconnectedError as error:
            self._still_alive(deadline)
            raise GuestError(
                "the script disconnected unexpectedly: the guest rebooted, or the connection was cut",
                hint=NO_MORE,
            ) from error

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        path = shlex.quote(destination)
        command = f"umask 077; cat > {path} && chmod {mode:04o} {path}"
        self._receive(command, content, deadline, destination)

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        before = self._boot_id(deadline)
        with contextlib.suppress(DisconnectedError):
            self._execute(reboot.command or "sudo -n systemctl reboot", output, deadline)
        within = deadline.sooner(reboot.timeout, "the reboot", "raise `restartTimeout`", PlatformError)

        def look() -> bool | None:
            self._alive()
            try:
                return True if self._boot_id(within) != before else None
            except DisconnectedError:
                self._connection.close()
                return None

        poll(look, within, backoff(0.5, 1.2, 3.0))
        if reboot.check_command:
            try:
                code = self._execute(reboot.check_command, output, within)
            except DisconnectedError as error:
                raise GuestError(
                    "the connection was cut while the guest was looked at after its reboot", hint=NO_MORE
                ) from error
            if code != 0:
                raise GuestError(f"the check after the reboot ended with exit code {code}")

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        raise GuestError("WindowsUpdate needs a Windows guest")

    def ask(self, command: str, deadline: Deadline) -> tuple[int, str]:
        """Run a short command of our own; its exit code and standard output, of which the first lines count."""
        try:
            return self._answer(command, deadline)
        except DisconnectedError as error:
            self._alive()
            raise GuestError("the connection to the guest was cut", hint=NO_MORE) from error

    def _answer(self, command: str, deadline: Deadline) -> tuple[int, str]:
        lines: list[str] = []

        def collect(line: str, stream: Stream) -> None:
            if stream is Stream.STDOUT and len(lines) < ANSWER_LINES:
                lines.append(line[:ANSWER_LONGEST])

        return self._execute(command, collect, deadline), "\n".join(lines)

    def _still_alive(self, deadline: Deadline) -> None:
        """A machine that dies cuts its connections first: it is looked at twice before the guest is blamed."""
        self._alive()
        deadline.wait(0.5)
        self._alive()

    def _boot_id(self, deadline: Deadline) -> str:
        return self._answer("cat /proc/sys/kernel/random/boot_id", deadline)[1]

    def _execute(self, command: str, output: OutputSink, deadline: Deadline) -> int:
        with self._connection.session(command, deadline) as channel:
            channel.shutdown_write()
            streams = {Stream.STDOUT: Lines(), Stream.STDERR: Lines()}
            linger, late = deadline, 0
            while True:
                ended = channel.exit_status_ready() or not self._connection.active
                whole = channel.eof_received or channel.closed or not self._connection.active
                more = _drain(channel, streams, output)
                deadline.check()
                late += more if ended else 0
                if late > LATE or (ended and not more and (whole or linger.passed())):
                    break
                if ended and not more and linger is deadline:
                    linger = deadline.sooner(LINGER_SECONDS, "the last output")
                if whole and not more:
                    deadline.wait(TICK_SECONDS)
                elif not more:
                    _wait_for(channel, min(LOOK_SECONDS, max(0.01, linger.remaining())))
                    self._alive()
            for stream, lines in streams.items():
                for line in lines.end():
                    output(line, stream)
            if not channel.exit_status_ready() or (code := channel.recv_exit_status()) < 0:
                deadline.check()
                raise DisconnectedError("the channel was closed without an exit status")
            return code

    def _receive(self, command: str, content: bytes | Path, deadline: Deadline, what: str) -> None:
        try:
            code, said = self._feed(command, content, deadline, what)
        except DisconnectedError:
            # The guest may have gone down for a reboot that the script before this one asked for.
            self._alive()
            self._connection.close()
            try:
                code, said = self._feed(command, content, deadline, what)
            except DisconnectedError as error:
                self._alive()
                raise GuestError(
                    f"the connection was cut while {what} was sent to the guest", hint=NO_MORE
                ) from error
        if code != 0:
            raise GuestError(
                f"{what} could not be written on the guest: {said}",
                hint="files are written by the build user: upload to /tmp and move the file with a Shell customizer",
            )

    def _feed(self, command: str, content: bytes | Path, deadline: Deadline, what: str) -> tuple[int, str]:
        with _opened(content) as source, self._connection.session(command, deadline) as channel:
            channel.settimeout(max(1.0, min(120.0, deadline.remaining())))
            total, sent = source.seek(0, io.SEEK_END), 0
            source.seek(0)
            while chunk := source.read(CHUNK):
                deadline.check()
                if not _sent(channel, chunk):
                    break
                sent += len(chunk)
                if sent % STRIDE == 0 or sent == total > STRIDE:
                    self._emit(Progress(what, sent, total))
            channel.shutdown_write()
            said = channel.makefile_stderr("rb").read(SAID).decode("utf-8", "replace").strip()
            code = channel.recv_exit_status()
            if code < 0:
                deadline.check()
                raise DisconnectedError("the channel was closed without an exit status")
            return code, said


def _opened(content: bytes | Path) -> BinaryIO:
    """Opened before anything is sent: that it cannot be is not the connection's fault."""
    try:
        return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
    except OSError as error:
        raise FetchError(
            f"{content!s} could not be read: {error.strerror}", hint="check the file, and build again"
        ) from error


def _sent(channel: paramiko.Channel, chunk: bytes) -> bool:
    """False when the command has ended and reads no more; its exit status and its last words then say why."""
    try:
        if not channel.exit_status_ready():
            channel.sendall(chunk)
            return True
    except TimeoutError:
        raise
    except OSError:
        if not channel.exit_status_ready():
            raise
    return False


def _wait_for(channel: paramiko.Channel, seconds: float) -> None:
    """Until something comes, or `seconds` are over. Not `select.select`: it knows the first 1024 descriptors only."""
    with selectors.DefaultSelector() as selector:
        selector.register(channel.fileno(), selectors.EVENT_READ)
        selector.select(seconds)


def _drain(channel: paramiko.Channel, streams: dict[Stream, Lines], output: OutputSink) -> int:
    """Hand on a piece of what has come on each stream; how many bytes had."""
    chunks = (
        (Stream.STDOUT, channel.recv(CHUNK) if channel.recv_ready() else b""),
        (Stream.STDERR, channel.recv_stderr(CHUNK) if channel.recv_stderr_ready() else b""),
    )
    for stream, chunk in chunks:
        for line in streams[stream].feed(chunk):
            output(line, stream)
    return sum(len(chunk) for _, chunk in chunks)
