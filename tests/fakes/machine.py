"""What a machine gives every process: where tools are and how registries are reached, nothing of the tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PREFIXES = ("UV_", "PIP_", "NPM_CONFIG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def machine() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in KEPT or name.upper().startswith(PREFIXES)}


def path_without(directory: Path, *missing: str) -> str:
    """A PATH with everything that this machine's has, but for some commands; its `python3` is a plain one."""
    directory.mkdir()
    found = {"python3": Path(sys.executable).resolve()}
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        if folder.is_dir():
            found |= {file.name: file for file in folder.iterdir() if file.name not in found}
    for name, file in found.items():
        if name not in missing:
            (directory / name).symlink_to(file)
    return str(directory)


def command(path: str, name: str, script: str) -> None:
    """Put a command of our own on a PATH that `path_without` has made, in the place of the one there."""
    file = Path(path) / name
    file.unlink(missing_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def carry(source: Path, target: Path) -> None:
    """A folder from a runner to its cache or back, if it is there."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
