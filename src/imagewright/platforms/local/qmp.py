"""QEMU's monitor protocol, over a socket that only we and QEMU hold. A client of sixty lines: see ADR 0004."""

from __future__ import annotations

import array
import json
import socket
from typing import Any

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError

TICK_SECONDS = 0.5


class QmpError(PlatformError):
    """QEMU refused a command, or went away."""


class Qmp:
    """Commands in, their answers out; events are passed over. Not safe for threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(TICK_SECONDS)
        self._buffer = b""
        self._number = 0

    def greet(self, deadline: Deadline) -> None:
        """Wait for QEMU's greeting and leave its negotiation mode."""
        while "QMP" not in self._read(deadline):
            pass
        self.execute("qmp_capabilities", deadline)

    def execute(
        self, command: str, deadline: Deadline, arguments: dict[str, object] | None = None, *, fd: int | None = None
    ) -> Any:
        """Run one command and return its `return` value; `fd` travels along with it.

        The answer to an earlier command, which came after that one's deadline, is passed over.
        """
        self._number += 1
        said = {"execute": command, "arguments": arguments or {}, "id": self._number}
        ancillary = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self._socket.sendmsg([json.dumps(said).encode() + b"\n"], ancillary)
        except OSError as error:
            raise QmpError(f"QEMU went away before `{command}`: {error.strerror}") from error
        while True:
            answer = self._read(deadline)
            if answer.get("id") != self._number:
                continue
            if "error" in answer:
                raise QmpError(f"QEMU refused `{command}`: {answer['error'].get('desc', 'no reason given')}")
            return answer["return"]

    def close(self) -> None:
        self._socket.close()

    def _read(self, deadline: Deadline) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            deadline.check()
            try:
                chunk = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as error:
                raise QmpError(f"QEMU went away: {error.strerror}") from error
            if not chunk:
                raise QmpError("QEMU went away")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer
