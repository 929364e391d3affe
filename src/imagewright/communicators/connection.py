"""The way to a guest over SSH, made again when it was cut. There is no trust on first use."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import paramiko

from imagewright.communicators.login import Login
from imagewright.core.clock import MOMENT, Deadline
from imagewright.core.errors import BuildTimeoutError, PlatformError
from imagewright.engine.waiting import backoff, poll

# What paramiko would log is in the errors that we raise; without a handler Python prints it to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

ATTEMPT_SECONDS = 10.0
KEEPALIVE_SECONDS = 15
RECONNECT_SECONDS = 900.0
"""A reboot in between may take minutes under emulation."""


class DisconnectedError(Exception):
    """The connection was cut in mid-work; what that means, whoever worked over it can say."""


class Connection:
    """`alive` raises when the machine itself is gone, with the machine's own reason."""

    def __init__(self, login: Login, alive: Callable[[], None]) -> None:
        self._login = login
        self._alive = alive
        self._transport: paramiko.Transport | None = None

    @property
    def active(self) -> bool:
        return self._transport is not None and self._transport.is_active()

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
                with _hostile():
                    transport.start_client(timeout=seconds)
                self._verify(transport)
                key = paramiko.Ed25519Key.from_private_key(io.StringIO(self._login.private_key))
                with _hostile():
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
        if not self.active:
            self.close()
            self.connect(
                deadline.sooner(
                    RECONNECT_SECONDS,
                    "connecting to the guest again",
                    "did a script stop its SSH server, or change its network or firewall? if none did, build again",
                    PlatformError,
                )
            )
        assert self._transport is not None
        return self._transport

    def _channel(self, deadline: Deadline) -> paramiko.Channel:
        deadline.check()
        for attempt in (1, 2):
            transport = self._connected(deadline)
            try:
                with _hostile():
                    return transport.open_session(timeout=max(1.0, min(60.0, deadline.remaining())))
            except (paramiko.SSHException, EOFError, OSError) as error:
                self.close()
                if attempt == 2:
                    raise DisconnectedError(str(error)) from error
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def session(self, command: str, deadline: Deadline) -> Iterator[paramiko.Channel]:
        """A channel on which `command` runs. At the deadline the connection is cut, whatever waits for it then."""
        channel = self._channel(deadline)
        over = threading.Event()
        threading.Thread(target=_cut, args=(channel, deadline, over), name="deadline", daemon=True).start()
        try:
            with _hostile():
                channel.exec_command(command)
            yield channel
        except (paramiko.SSHException, EOFError, OSError) as error:
            deadline.check()
            raise DisconnectedError(str(error)) from error
        finally:
            over.set()
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # nobody may be there to be told
                channel.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


@contextlib.contextmanager
def _hostile() -> Iterator[None]:
    """paramiko hands on whatever its thread met in what a guest sent."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error) as error:
        raise paramiko.SSHException(f"the guest's SSH server sent nonsense: {error}") from error


def _cut(channel: paramiko.Channel, deadline: Deadline, over: threading.Event) -> None:
    while not over.wait(MOMENT):
        if deadline.stop.is_set() or deadline.passed():
            channel.get_transport().close()
            return
