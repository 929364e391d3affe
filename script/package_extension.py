"""Assemble and package the Azure DevOps extension: `uv run python script/package_extension.py [OUTPUT.vsix]`.

The task's folder holds the shim, our wheel and the locked versions of what it needs; an agent installs from that.
"""

from __future__ import annotations

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
EXTENSION_FILES = ("task/overview.md", "task/extension-icon.png", "LICENSE")


def assemble(target: Path) -> Path:
    """The extension's folder, fresh; returns the task's folder in it."""
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
    (target / "vss-extension.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return task


def package(folder: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    _run(
        *_tfx(), "extension", "create", "--root", str(folder), "--manifest-globs", "vss-extension.json",
        "--output-path", str(output), "--no-prompt",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    output = Path(arguments[0]).resolve() if arguments else ROOT / "dist" / f"imagewright-{_version()}.vsix"
    folder = ROOT / "dist" / "extension"
    assemble(folder)
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
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
