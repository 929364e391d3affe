"""Real builds on QEMU: one home for all of them, so that the base disk and its first boot are made once."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from booted import Booted

ROOT = Path(__file__).parents[2]
DEBIAN = {
    "type": "PlatformImage",
    "publisher": "Debian",
    "offer": "debian-12",
    "sku": "12-gen2",
    "version": "latest",
}


@pytest.fixture(scope="session")
def home() -> Path:
    """Kept from run to run: what is in it is keyed by content, and the tests make their templates unique."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("IMAGEWRIGHT_TEST_HOME", cache / "imagewright-tests" / "home"))


@dataclass(frozen=True)
class Built:
    """One call of the command line: what it printed, and the result file that it wrote."""

    code: int
    out: str
    err: str
    result: dict[str, Any]

    @property
    def cached(self) -> list[bool]:
        return [step["cached"] for step in self.result["steps"]]

    @property
    def last_line(self) -> str:
        return self.out.strip().splitlines()[-1]


@pytest.fixture
def imagewright(home: Path, tmp_path: Path) -> Callable[..., Built]:
    def call(command: str, *words: object, seconds: float = 1500) -> Built:
        result = tmp_path / f"result-{secrets.token_hex(4)}.json"
        given = ["--home", home, *(["--output", tmp_path / "out", "--result", result] if command == "build" else [])]
        done = subprocess.run(
            [sys.executable, "-m", "imagewright", command, *map(str, words), *map(str, given)],
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=tmp_path,
            check=False,
        )
        said = json.loads(result.read_text()) if result.exists() else {}
        return Built(done.returncode, done.stdout, done.stderr, said)

    return call


@pytest.fixture
def template(tmp_path: Path) -> Callable[..., Path]:
    """Writes a template of Shell steps and gives its path; the same `name` overwrites."""

    def write(*scripts: str, name: str = "image", **properties: object) -> Path:
        steps = [
            {"type": "Shell", "name": f"Step{number}", "inline": script.splitlines()}
            for number, script in enumerate(scripts, start=1)
        ]
        body = {
            "type": "Microsoft.VirtualMachineImages/imageTemplates",
            "location": "westeurope",
            "properties": {
                "source": DEBIAN,
                "customize": steps,
                "distribute": [{"type": "VHD", "runOutputName": name}],
                **properties,
            },
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(body, indent=2))
        return path

    return write


@pytest.fixture
def unique() -> str:
    """A word that no build before has used: with it a step is never cached."""
    return secrets.token_hex(8)


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[..., Booted]]:
    """Boots disks in QEMU, each with a user of the test's own, and ends them."""
    running: list[Booted] = []

    def start(disk: Path, *, uefi: bool = True, disk_format: str = "vpc") -> Booted:
        running.append(Booted(disk, tmp_path / f"boot-{len(running)}", uefi=uefi, disk_format=disk_format))
        return running[-1]

    yield start
    for each in running:
        each.end()
