"""The command line against a simulator, as processes that can be signalled and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armsim import Simulator

HERE = Path(__file__).parent


@dataclass
class Running:
    """A command that was started. `wait` returns its exit code, negative for a signal."""

    pid: int
    output: Path
    zygote: subprocess.Popen[str]

    def wait(self) -> int:
        assert self.zygote.stdout is not None
        return os.waitstatus_to_exitcode(int(self.zygote.stdout.readline()))

    def until(self, text: str, seconds: float = 60) -> None:
        """Wait until it has printed `text`."""
        pause = threading.Event()
        for _ in range(int(seconds / 0.05)):
            if text in self.text():
                return
            pause.wait(0.05)
        raise TimeoutError(f"{text!r} was not printed: {self.text()}")

    def text(self) -> str:
        return self.output.read_text("utf-8", "replace")


class CommandLine:
    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self._simulator = simulator
        self._folder = folder
        self.home = folder / "home"
        self._number = 0
        self._zygote = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.started = threading.Event()
        self.pid = 0

    def close(self) -> None:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait()
        self._zygote.stdout.close()

    def environment(self, home: Path | None = None) -> dict[str, str]:
        given, simulator = self._simulator.credentials, self._simulator
        return {
            "AZURE_CLIENT_ID": given.client, "AZURE_TENANT_ID": given.tenant, "AZURE_CLIENT_SECRET": given.secret,
            "IMAGEWRIGHT_SUBSCRIPTION": simulator.subscription, "IMAGEWRIGHT_RESOURCE_GROUP": "results",
            "IMAGEWRIGHT_ARM_ENDPOINT": simulator.url, "IMAGEWRIGHT_AUTHORITY_HOST": simulator.url,
            "IMAGEWRIGHT_CA_BUNDLE": str(simulator.authority), "IMAGEWRIGHT_AGENT_ADDRESS": "127.0.0.1",
            "IMAGEWRIGHT_HOME": str(home or self.home), "IMAGEWRIGHT_PLATFORM": "azure", "NO_COLOR": "1",
        }  # fmt: skip

    def start(self, *arguments: str, home: Path | None = None, **more: str) -> Running:
        environment = self.environment(home) | more
        self._number += 1
        output = self._folder / f"output-{self._number}.txt"
        output.touch()
        self.started.clear()
        line = json.dumps({"arguments": arguments, "environment": environment, "output": str(output)})
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        print(line, file=self._zygote.stdin, flush=True)
        self.pid = int(self._zygote.stdout.readline())
        self.started.set()
        return Running(self.pid, output, self._zygote)

    def run(self, *arguments: str, home: Path | None = None, **more: str) -> tuple[int, str]:
        running = self.start(*arguments, home=home, **more)
        return running.wait(), running.text()

    def kill(self) -> None:
        """What runs now, at once."""
        self.started.wait(10)
        os.kill(self.pid, signal.SIGKILL)

    def template(self, definition: str, *, inline: str = "echo hello", **more: Any) -> Path:
        """A template with one customizer and one gallery target."""
        body = {
            "type": "Microsoft.VirtualMachineImages/imageTemplates",
            "apiVersion": "2024-02-01",
            "name": "web",
            "location": "eastus",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {
                f"/subscriptions/{self._simulator.subscription}/resourceGroups/results/providers/"
                "Microsoft.ManagedIdentity/userAssignedIdentities/builder": {}}},
            "properties": {
                "source": {
                    "type": "PlatformImage", "publisher": "Canonical", "offer": "0001-com-ubuntu-server-jammy",
                    "sku": "22_04-lts-gen2", "version": "latest",
                },
                "customize": [{"type": "Shell", "name": "hello", "inline": [inline]}],
                "distribute": [{"type": "SharedImage", "runOutputName": "gallery", "galleryImageId": definition,
                                "targetRegions": [{"name": "eastus"}]}],
            } | more,
        }  # fmt: skip
        self._number += 1
        file = self._folder / f"template-{self._number}.json"
        file.write_text(json.dumps(body))
        return file
