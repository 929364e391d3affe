"""A Linux guest over SSH. The host key is known before the first connection: there is no trust on first use."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import selectors
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from imagewright.communicators.lines import LONGEST, Lines
from imagewright.communicators.scripts import prepare
from imagewright.core.actions import InstallUpdates, Reboot, Run
from imagewright.core.clock import MOMENT, Deadline
from imagewright.core.errors import BuildTimeoutError, GuestError, PlatformError
from imagewright.core.events import Emit, Progress, Stream
from imagewright.core.ports import OutputSink
from imagewright.engine.waiting import backoff, poll

# What paramiko would log is in the errors that we raise; without a handler Python prints it to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

ATTEMPT_SECONDS = 10.0
CHUNK = 1 << 16
STRIDE = 64 * CHUNK
"""Bytes: how far a long upload goes from one word about it to the next."""
KEEPALIVE_SECONDS = 15
RECONNECT_SECONDS = 900.0
"""A reboot in between may take minutes under emulation."""
LOOK_SECONDS = 0.5
TICK_SECONDS = 0.05
ANSWER_LINES = 1000
LINGER_SECONDS = 3.0
"""How long a script's output is waited for after the script has ended: what it left running may hold it open."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom. `host_key` is an OpenSSH public key line (`ssh-ed25519 AAAA…`), `private_key` is PEM."""

    host: str
    port: int
    user: str
    private_key: str
    host_key: str


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key pair in OpenSSH's formats."""

    private: str
    public: str


def new_key_pair(comment: str) -> KeyPair:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), f"{public.decode()} {comment}")


class _DisconnectedError(Exception):
    pass


class SshGuest:
    """Satisfies core.ports.Guest. `alive` raises when the machine itself is gone, with the machine's own reason."""

    def __init__(self, login: Login, alive: Callable[[], None], emit: Emit = lambda _: None) -> None:
        self._login = login
        self._alive = alive
        self._emit = emit
        self._transport: paramiko.Transport | None = None
        self._scripts = 0

    # --- the connection ---

    def connect(self, deadline: Deadline) -> None:
        """Connect, however often it takes. Raises PlatformError at once when the host key is not the expected one."""
        reasons: list[str] = []

        def look() -> paramiko.Transport | None:
            self._alive()
            try:
                return self._open(deadline)
            except (OSError, EOFError, paramiko.SSHException) as error:
                reasons[:] = [str(error) or type(error).__name__]
                return None

        try:
            self._transport = poll(look, deadline, backoff(0.1, 1.3, 1.0))
        except (BuildTimeoutError, PlatformError) as error:
            if reasons and deadline.passed():
                error.message = f"{error}: the last attempt said: {reasons[0]}"
                error.args = (error.message,)
            raise

    def _open(self, deadline: Deadline) -> paramiko.Transport:
        seconds = max(0.1, min(ATTEMPT_SECONDS, deadline.remaining()))
        connection = socket.create_connection((self._login.host, self._login.port), timeout=seconds)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = paramiko.Transport(connection, strict_kex=True)
            transport.banner_timeout = seconds
            transport.auth_timeout = seconds
            try:
                transport.start_client(timeout=seconds)
                self._verify(transport)
                key = paramiko.Ed25519Key.from_private_key(io.StringIO(self._login.private_key))
                transport.auth_publickey(self._login.user, key)
                transport.set_keepalive(KEEPALIVE_SECONDS)
            except BaseException:
                transport.close()
                raise
        except BaseException:
            connection.close()
            raise
        return transport

    def _verify(self, transport: paramiko.Transport) -> None:
        shown = transport.get_remote_server_key()
        kind, expected = self._login.host_key.split()[:2]
        if shown.get_name() != kind or shown.asbytes() != base64.b64decode(expected):
            raise PlatformError(
                f"{self._login.host}:{self._login.port} answers with a host key that is not the machine's",
                hint="something else listens there, or the connection is intercepted; nothing was sent to it",
            )

    def _connected(self, deadline: Deadline) -> paramiko.Transport:
        if self._transport is None or not self._transport.is_active():
            self.close()
            self.connect(deadline.sooner(RECONNECT_SECONDS, "connecting to the guest again", error=PlatformError))
        assert self._transport is not None
        return self._transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # --- the port ---

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        self._scripts += 1
        prepared = prepare(run, content, self._scripts)
        self._receive(prepared.receive, prepared.content, deadline, "the script")
        try:
            return self._execute(prepared.execute, output, deadline)
        except _DisconnectedError as error:
            self._still_alive(deadline)
            raise GuestError(
                "the script disconnected unexpectedly: the guest rebooted, or the connection was cut",
                hint="a Shell customizer may not reboot the guest or stop its SSH server",
            ) from error

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        path = shlex.quote(destination)
        command = f"umask 077; cat > {path} && chmod {mode:04o} {path}"
        self._receive(command, content, deadline, destination)

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        before = self._boot_id(deadline)
        with contextlib.suppress(_DisconnectedError):
            self._execute(reboot.command or "sudo -n systemctl reboot", output, deadline)
        within = deadline.sooner(reboot.timeout, "the reboot", "raise `restartTimeout`", PlatformError)

        def look() -> bool | None:
            self._alive()
            try:
                return True if self._boot_id(within) != before else None
            except _DisconnectedError:
                self.close()
                return None

        poll(look, within, backoff(0.5, 1.2, 3.0))
        if reboot.check_command:
            try:
                code = self._execute(reboot.check_command, output, within)
            except _DisconnectedError as error:
                raise GuestError("the connection was cut while the guest was looked at after its reboot") from error
            if code != 0:
                raise GuestError(f"the check after the reboot ended with exit code {code}")

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        raise GuestError("WindowsUpdate needs a Windows guest")

    def ask(self, command: str, deadline: Deadline) -> tuple[int, str]:
        """Run a short command of our own; its exit code and standard output, of which the first lines count."""
        try:
            return self._answer(command, deadline)
        except _DisconnectedError as error:
            self._alive()
            raise GuestError("the connection to the guest was cut") from error

    def _answer(self, command: str, deadline: Deadline) -> tuple[int, str]:
        lines: list[str] = []

        def collect(line: str, stream: Stream) -> None:
            if stream is Stream.STDOUT and len(lines) < ANSWER_LINES:
                lines.append(line)

        return self._execute(command, collect, deadline), "\n".join(lines)

    def _still_alive(self, deadline: Deadline) -> None:
        """A machine that dies cuts its connections first: it is looked at twice before the guest is blamed."""
        self._alive()
        deadline.wait(0.5)
        self._alive()

    def _boot_id(self, deadline: Deadline) -> str:
        return self._answer("cat /proc/sys/kernel/random/boot_id", deadline)[1]

    # --- channels ---

    def _channel(self, deadline: Deadline) -> paramiko.Channel:
        deadline.check()
        for attempt in (1, 2):
            transport = self._connected(deadline)
            try:
                return transport.open_session(timeout=max(1.0, min(60.0, deadline.remaining())))
            except (paramiko.SSHException, EOFError, OSError) as error:
                self.close()
                if attempt == 2:
                    raise _DisconnectedError(str(error)) from error
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _session(self, command: str, deadline: Deadline) -> Iterator[paramiko.Channel]:
        """A channel on which `command` runs. At the deadline the connection is cut, whatever waits for it then."""
        channel = self._channel(deadline)
        over = threading.Event()
        threading.Thread(target=_cut, args=(channel, deadline, over), name="deadline", daemon=True).start()
        try:
            channel.exec_command(command)
            yield channel
        except (paramiko.SSHException, EOFError, OSError) as error:
            deadline.check()
            raise _DisconnectedError(str(error)) from error
        finally:
            over.set()
            channel.close()

    def _execute(self, command: str, output: OutputSink, deadline: Deadline) -> int:
        with self._session(command, deadline) as channel:
            channel.shutdown_write()
            streams = {Stream.STDOUT: Lines(), Stream.STDERR: Lines()}
            linger = deadline
            while True:
                ended = channel.exit_status_ready() or not self._active()
                whole = channel.eof_received or channel.closed or not self._active()
                more = _drain(channel, streams, output)
                deadline.check()
                if ended and linger is deadline:
                    linger = deadline.sooner(LINGER_SECONDS, "the last output")
                if ended and (linger.passed() or (whole and not more)):
                    break
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
                raise _DisconnectedError("the channel was closed without an exit status")
            return code

    def _receive(self, command: str, content: bytes | Path, deadline: Deadline, what: str) -> None:
        try:
            code, said = self._feed(command, content, deadline, what)
        except _DisconnectedError:
            # The guest may have gone down for a reboot that the script before this one asked for.
            self._alive()
            self.close()
            try:
                code, said = self._feed(command, content, deadline, what)
            except _DisconnectedError as error:
                self._alive()
                raise GuestError(f"the connection was cut while {what} was sent to the guest") from error
        if code != 0:
            raise GuestError(
                f"{what} could not be written on the guest: {said}",
                hint="files are written by the build user: upload to /tmp and move the file with a Shell customizer",
            )

    def _feed(self, command: str, content: bytes | Path, deadline: Deadline, what: str) -> tuple[int, str]:
        with self._session(command, deadline) as channel:
            channel.settimeout(max(1.0, min(120.0, deadline.remaining())))
            with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as source:
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
            said = channel.makefile_stderr("rb").read(LONGEST).decode("utf-8", "replace").strip()
            code = channel.recv_exit_status()
            if code < 0:
                deadline.check()
                raise _DisconnectedError("the channel was closed without an exit status")
            return code, said

    def _active(self) -> bool:
        return self._transport is not None and self._transport.is_active()


def _cut(channel: paramiko.Channel, deadline: Deadline, over: threading.Event) -> None:
    while not over.wait(MOMENT):
        if deadline.stop.is_set() or deadline.passed():
            channel.get_transport().close()
            return


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


def _drain(channel: paramiko.Channel, streams: dict[Stream, Lines], output: OutputSink) -> bool:
    """Hand on a piece of what has come on each stream. False when nothing had."""
    more = False
    if channel.recv_ready():
        more = True
        for line in streams[Stream.STDOUT].feed(channel.recv(CHUNK)):
            output(line, Stream.STDOUT)
    if channel.recv_stderr_ready():
        more = True
        for line in streams[Stream.STDERR].feed(channel.recv_stderr(CHUNK)):
            output(line, Stream.STDERR)
    return more
