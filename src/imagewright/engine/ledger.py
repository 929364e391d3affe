"""The list on disk of what must not outlive the build.

One JSON object a line, each forced to the disk before the thing it speaks of is made:
`{"own": {"platform", "kind", "id", "detail"}}` and later `{"release": {...}}`. A line that was cut off by a crash
is passed over: what it would have owned was not created yet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from pathlib import Path

from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned

FILE_NAME = "ledger.jsonl"
BINARY = getattr(os, "O_BINARY", 0)
"""Windows would write CR LF."""


class Ledger:
    """An open ledger. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600)
            self._open = list(pending(path))
        except OSError as error:
            raise _unwritable(path, error) from error

    def own(self, owned: Owned) -> None:
        """Raises PlatformError when it cannot be written down: what is not owned may not be made."""
        with self._lock:
            try:
                self._write("own", owned)
            except OSError as error:
                raise _unwritable(self.path, error) from error
            self._open.append(owned)

    def release(self, owned: Owned) -> None:
        """Never fails: what is gone already may be deleted once more."""
        with self._lock:
            if owned in self._open:
                with contextlib.suppress(OSError):
                    self._write("release", owned)
                self._open.remove(owned)

    def pending(self) -> tuple[Owned, ...]:
        """What is owned and not released, in the order of creation."""
        with self._lock:
            return tuple(self._open)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, word: str, owned: Owned) -> None:
        """A full disk takes a part of a line, or none: the next one begins on a line of its own."""
        line = "\n" * self._torn + json.dumps({word: dataclasses.asdict(owned)}) + "\n"
        left = memoryview(line.encode())
        self._torn = True
        while left:
            left = left[os.write(self._file, left) :]
        self._torn = False
        os.fsync(self._file)


def _unwritable(path: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"{path} cannot be written: {error.strerror}",
        hint="free some space on this machine, or choose another place with `--home`",
    )


def is_ledger(path: Path) -> bool:
    """Whether a file is a ledger, which may be empty: nothing was created then."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return not lines or any(_entry(line) is not None for line in lines)


def pending(path: Path) -> tuple[Owned, ...]:
    """What a ledger file says is still there, in the order of creation. A missing file is an empty ledger."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    still: list[Owned] = []
    for word, owned in filter(None, map(_entry, lines)):
        if word == "own":
            still.append(owned)
        elif owned in still:
            still.remove(owned)
    return tuple(still)


def _entry(line: str) -> tuple[str, Owned] | None:
    """What one line says, or None where it says nothing."""
    try:
        entry = json.loads(line)
        word, fields = next(iter(entry.items()))
        owned = Owned(**fields)
    except (ValueError, TypeError, AttributeError, StopIteration):
        return None
    return (word, owned) if all(isinstance(each, str) for each in dataclasses.astuple(owned)) else None
