"""Locks on files, held by the kernel for as long as the process lives, however it dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BEYOND = 1 << 30
"""Windows keeps others from a locked byte itself: this one no lock file has."""


@contextmanager
def held(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[bool]:
    """Hold the lock that is the file `path`, made where it is missing: True when it could be had; False when somebody
    else has it, or when its folder is gone.

    Those who share it do not keep each other out, but on Windows they do. `wait`: until nobody else has it; on
    Windows ten seconds at most, then OSError.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _taken(handle, shared=shared, wait=wait)
    finally:
        os.close(handle)


def _taken(handle: int, *, shared: bool, wait: bool) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        else:
            msvcrt: Any = import_module("msvcrt")
            os.lseek(handle, BEYOND, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    return True
