"""A command line of its own: a home, a working directory, and a platform in memory behind `--platform local`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import memory_platform
import pytest

from imagewright.entry.cli import main
from imagewright.platforms import PLATFORMS


@dataclass
class Cli:
    """Runs commands in this process and holds what the last one printed."""

    directory: Path
    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def world(self) -> memory_platform.World:
        return memory_platform.world(self.home)

    def __call__(self, *arguments: str) -> int:
        self.capture.readouterr()
        code = main([*arguments])
        self.out, self.err = self.capture.readouterr()
        return code

    def template(self, *scripts: str, name: str = "web.json", **properties: Any) -> str:
        """Write a template with one Shell customizer for each script, and return its name."""
        body = {
            "type": "Microsoft.VirtualMachineImages/imageTemplates",
            "apiVersion": "2024-02-01",
            "location": "westeurope",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
            "properties": {
                "source": {
                    "type": "PlatformImage",
                    "publisher": "Debian",
                    "offer": "debian-12",
                    "sku": "12-gen2",
                    "version": "latest",
                },
                "customize": [
                    {"type": "Shell", "name": f"step{number}", "inline": script.splitlines()}
                    for number, script in enumerate(scripts, start=1)
                ],
                "distribute": [{"type": "VHD", "runOutputName": "web-vhd"}],
                **properties,
            },
        }
        (self.directory / name).write_text(json.dumps(body, indent=2))
        return name


IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setitem(PLATFORMS, "local", memory_platform.entry())
    monkeypatch.setitem(PLATFORMS, "memory", memory_platform.entry())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEWRIGHT_HOME", str(tmp_path / "home"))
    for name in ("AZURE_SUBSCRIPTION_ID", "XDG_DATA_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Cli(tmp_path, capsys)
