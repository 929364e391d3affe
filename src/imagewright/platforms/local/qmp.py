"""QEMU's monitor protocol, over a socket that only we and QEMU hold. A client of sixty lines: see ADR 0004."""

from __future__ import annotations

import array
import json
import socket
from collections import deque
from typing import Any

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError

TICK_SECONDS = 0.5


class QmpError(PlatformError):
    """QEMU refused a command, or went away."""


class Qmp:
    """Commands in, answers and events out. Not safe for threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(TICK_SECONDS)
        self._buffer = b""
        self._events: deque[dict[str, Any]] = deque()

    def greet(self, deadline: Deadline) -> None:
        """Wait for QEMU's greeting and leave its negotiation mode."""
        while "QMP" not in self._read(deadline):
            pass
        self.execute("qmp_capabilities", deadline)

    def execute(
        self, command: str, deadline: Deadline, arguments: dict[str, object] | None = None, *, fd: int | None = None
    ) -> Any:
        """Run one command and return its `return` value; `fd` travels along with it."""
        message = json.dumps({"execute": command, "arguments": arguments or {}}).encode() + b"\n"
        ancillary = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self._socket.sendmsg([message], ancillary)
        except OSError as error:
            raise QmpError(f"QEMU went away before `{command}`: {error.strerror}") from error
        while True:
            answer = self._read(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"QEMU refused `{command}`: {answer['error'].get('desc', 'no reason given')}")
            if "event" in answer:
                self._events.append(answer)

    def wait_event(self, name: str, deadline: Deadline) -> dict[str, Any]:
        """The next event `name`; others are dropped."""
        while True:
            event = self._events.popleft() if self._events else self._read(deadline)
            if event.get("event") == name:
                return event

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
