"""A QEMU that is none: it answers its monitor, and knows whether its guest runs and which layers lie on its disk."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from imagewright.core.clock import Clock, SystemClock
from imagewright.core.ownership import Owned
from imagewright.platforms.local.process import QemuProcess
from imagewright.platforms.local.qmp import Qmp


class ScriptedQemu:
    """`refuses` are commands that are refused from now on, `silent` those that get no answer."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.refuses: set[str] = set()
        self.silent: set[str] = set()
        self.status = "running"
        self.nodes = {"disk0-0"}
        self.top = "disk0-0"
        self.migration = "completed"
        self.reads = 0
        self.halted = (1, 1)
        """A flag for each processor."""
        self._process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        ours, self._theirs = socket.socketpair()
        self.process = QemuProcess(
            self._process, Qmp(ours), folder / "qemu.log", Owned("local", "process", "x"), clock or SystemClock()
        )
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def die(self) -> None:
        self._process.kill()
        self._process.wait()

    def power_off(self) -> None:
        """As a QEMU ends whose guest has ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def end(self) -> None:
        self.process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._thread.join()
        self._theirs.close()

    def _answer(self) -> None:
        lines = self._theirs.makefile("rb")
        while line := lines.readline():
            said = json.loads(line)
            command = said["execute"]
            if command in self.silent:
                continue
            try:
                if command in self.refuses:
                    raise ValueError("refused")
                answer = {"return": self._do(command, said["arguments"])}
            except ValueError as error:
                answer = {"error": {"class": "GenericError", "desc": str(error)}}
            self._theirs.sendall(json.dumps({**answer, "id": said["id"]}).encode() + b"\n")

    def _do(self, command: str, arguments: dict[str, Any]) -> Any:
        match command:
            case "stop":
                self.status = "paused"
            case "cont":
                self.status = "running"
            case "query-status":
                return {"status": self.status}
            case "query-migrate":
                return {"status": self.migration}
            case "query-blockstats":
                return [{"stats": {"rd_operations": self.reads, "wr_operations": 0}}]
            case "human-monitor-command":
                return "".join(
                    f"CPU#{number}\r\nRIP=0 RFL=2 II=0 HLT={flag}\r\n" for number, flag in enumerate(self.halted)
                )
            case "blockdev-add":
                if arguments["node-name"] in self.nodes:
                    raise ValueError("there is such a node already")
                self.nodes.add(arguments["node-name"])
            case "transaction":
                for action in arguments["actions"]:
                    if action["data"]["node"] != self.top or action["data"]["overlay"] not in self.nodes:
                        raise ValueError("there is no such node")
                    self.top = action["data"]["overlay"]
        return {}
