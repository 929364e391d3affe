"""The Nodes that an agent runs a task with: the one of this machine, and the one that newer agents bring."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

TOOLS = Path.home() / ".cache" / "imagewright-tools"
NEWER = "24.9.0"
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


def of_this_machine() -> str:
    found = shutil.which("node")
    assert found, "the task's tests need Node.js"
    return found


@cache
def newer() -> str:
    """Node 24 out of a package of npm's registry that holds the program itself; it is kept for the next run."""
    package = f"node-linux-{ARCHITECTURES[platform.machine()]}"
    home = TOOLS / f"node-{NEWER}"
    if not home.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=TOOLS))
        command = [
            "npm",
            "install",
            "--prefix",
            str(draft),
            "--no-audit",
            "--no-fund",
            "--silent",
            f"{package}@{NEWER}",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"Node {NEWER} cannot be installed: {done.stdout}{done.stderr}"
        try:
            draft.rename(home)
        except OSError:  # another worker was faster
            shutil.rmtree(draft)
    return str(home / "node_modules" / package / "bin" / "node")


HANDLERS = {"Node20_1": of_this_machine, "Node24": newer}
