"""What answers at a guest's port may send anything."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from imagewright.communicators.connection import Connection
from imagewright.communicators.keys import new_key_pair
from imagewright.communicators.login import Login
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import PlatformError

KEXINIT = b"\x14" + bytes(16) + struct.pack(">I", 4) + b"\xff\xfe\xff\xfe" + bytes(45)


@pytest.fixture
def port() -> Iterator[int]:
    """Names of key exchanges that are no text."""
    padding = 16 - (len(KEXINIT) + 5) % 8
    packet = struct.pack(">IB", len(KEXINIT) + padding + 1, padding) + KEXINIT + bytes(padding)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"SSH-2.0-hostile\r\n" + packet)
                while connection.recv(4096):
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_nonsense_is_no_crash(port: int) -> None:
    user, host = new_key_pair("user"), new_key_pair("host")
    connection = Connection(Login("127.0.0.1", port, "root", user.private, host.public), lambda: None)
    clock = SystemClock()
    deadline = Deadline(clock, clock.monotonic() + 2, "the connection", error=PlatformError)
    with pytest.raises(PlatformError, match="the last attempt said: the guest's SSH server sent nonsense"):
        connection.connect(deadline)
