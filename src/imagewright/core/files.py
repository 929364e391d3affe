"""Files that appear whole or not at all, and the digests of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from imagewright.core.clock import fresh_name

CHUNK = 4 << 20


def oddity(path: Path) -> str:
    """What stands at `path`, if that is something else than a file: `a directory` or `no regular file`."""
    if not path.exists() or path.is_file():
        return ""
    return "a directory" if path.is_dir() else "no regular file"


def partial_of(path: Path) -> Path:
    """A name beside `path` for a file that is not whole yet."""
    return path.with_name(f".{path.name}.{fresh_name(6)}")


def write_whole(path: Path, text: str, mode: int = 0o666) -> None:
    """Make `text` the content of `path` in one step, and durably; a new file has `mode`, less the umask."""
    fresh = partial_of(path)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def digest_of(path: Path, check: Callable[[], None], algorithm: str = "sha256") -> str:
    """The digest of the content in hex. `check` is called often and may raise."""
    running = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            check()
            running.update(chunk)
    return running.hexdigest()
