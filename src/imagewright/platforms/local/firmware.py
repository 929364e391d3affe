"""UEFI firmware for generation 2, as the distributions package it."""

from __future__ import annotations

import shutil
from pathlib import Path

from imagewright.core.errors import PlatformError
from imagewright.platforms.local.command import Firmware

PAIRS = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)

VARIABLES = "variables.fd"


def find() -> tuple[Path, Path]:
    """The firmware's code and its empty variables."""
    for code, variables in PAIRS:
        if Path(code).is_file() and Path(variables).is_file():
            return Path(code), Path(variables)
    raise PlatformError("no UEFI firmware for generation V2 was found", hint="`script/build` installs it (ovmf)")


def prepare(directory: Path) -> Firmware:
    """This machine's own copy of the variables, made in `directory` unless it stands there."""
    code, empty = find()
    variables = directory / VARIABLES
    if not variables.exists():
        shutil.copyfile(empty, variables)
    return Firmware(code, variables)
