"""The list on disk of what must not outlive the build.

One JSON object a line, each forced to the disk before the thing it speaks of is made:
`{"own": {"platform", "kind", "id", "detail"}}` and later `{"release": {...}}`. A line that was cut off by a crash
is passed over: what it would have owned was not created yet.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from pathlib import Path

from imagewright.core.ownership import Owned

FILE_NAME = "ledger.jsonl"
BINARY = getattr(os, "O_BINARY", 0)
"""Windows would write CR LF."""


class Ledger:
    """An open ledger. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600)
        self._open = list(pending(path))
        if not whole:
            os.write(self._file, b"\n")

    def own(self, owned: Owned) -> None:
        with self._lock:
            self._write("own", owned)
            self._open.append(owned)

    def release(self, owned: Owned) -> None:
        with self._lock:
            if owned in self._open:
                self._write("release", owned)
                self._open.remove(owned)

    def pending(self) -> tuple[Owned, ...]:
        """What is owned and not released, in the order of creation."""
        with self._lock:
            return tuple(self._open)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, word: str, owned: Owned) -> None:
        line = json.dumps({word: dataclasses.asdict(owned)}) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)


def pending(path: Path) -> tuple[Owned, ...]:
    """What a ledger file says is still there, in the order of creation. A missing file is an empty ledger."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    still: list[Owned] = []
    for line in lines:
        try:
            entry = json.loads(line)
            word, fields = next(iter(entry.items()))
            owned = Owned(**fields)
        except (ValueError, TypeError, AttributeError, StopIteration):
            continue
        if word == "own":
            still.append(owned)
        elif owned in still:
            still.remove(owned)
    return tuple(still)
