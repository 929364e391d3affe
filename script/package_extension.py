"""Assemble and package the Azure DevOps extension: `uv run python script/package_extension.py [--publisher ID]`.

The task's folder holds the shim, our wheel and the locked versions of what it needs; an agent installs from that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path.home() / ".cache" / "imagewright-tools"
TFX = "tfx-cli@0.23.1"
TASK_FILES = ("task.json", "task/index.js", "task/post.js", "task/icon.png")
HINTS = {"npm": "install Node.js with npm", "uv": "install uv, or run this by `uv run`"}
EXTENSION_FILES = ("task/overview.md", "task/extension-icon.png", "LICENSE")


def assemble(target: Path, publisher: str = "") -> Path:
    """The extension's folder, fresh; returns the task's folder in it. Without a publisher it is the manifest's."""
    shutil.rmtree(target, ignore_errors=True)
    task = target / "Imagewright"
    task.mkdir(parents=True)
    for name in TASK_FILES:
        shutil.copy(ROOT / name, task)
    for name in EXTENSION_FILES:
        shutil.copy(ROOT / name, target)
    _run("uv", "build", "--quiet", "--wheel", "--out-dir", str(task), str(ROOT))
    (task / ".gitignore").unlink(missing_ok=True)
    extras = ("--extra", "azure", "--extra", "pipelines")
    _run(
        "uv", "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-header", *extras,
        "--project", str(ROOT), "--output-file", str(task / "requirements.txt"),
    )  # fmt: skip
    manifest = json.loads((ROOT / "vss-extension.json").read_text("utf-8"))
    manifest["version"] = _version()
    manifest["publisher"] = publisher or manifest["publisher"]
    (target / "vss-extension.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return task


def package(folder: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    _run(
        *_tfx(), "extension", "create", "--root", str(folder), "--manifest-globs", "vss-extension.json",
        "--output-path", str(output), "--no-prompt",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Package the Azure DevOps extension.")
    parser.add_argument("output", nargs="?", type=Path, default=ROOT / "dist" / f"imagewright-{_version()}.vsix")
    parser.add_argument("--publisher", default="", help="your own publisher on the marketplace")
    given = parser.parse_args(arguments)
    output, folder = given.output.resolve(), ROOT / "dist" / "extension"
    assemble(folder, given.publisher)
    package(folder, output)
    print(output)
    return 0


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def _tfx() -> tuple[str, ...]:
    """tfx from the PATH, or our own copy; it is installed where there is none."""
    if found := shutil.which("tfx"):
        return (found,)
    own = TOOLS / "node_modules" / ".bin" / "tfx"
    if not own.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        _run("npm", "install", "--prefix", str(TOOLS), "--no-audit", "--no-fund", "--silent", TFX)
    return (str(own),)


def _run(*command: str) -> None:
    program = shutil.which(command[0])
    if program is None:
        sys.exit(f"error: {command[0]} is not on the PATH\nhint: {HINTS.get(command[0], 'install it')}")
    done = subprocess.run([program, *command[1:]], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
