"""Sparse files: copied and hashed without reading their holes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


def extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each piece of the file that holds data."""
    end = os.fstat(descriptor).st_size
    offset = 0
    while offset < end:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError:
            return
        offset = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, offset - start


def copy(source: int, target: int) -> None:
    """Make the file `target` what `source` is, holes included. Raises OSError when the disk is full."""
    os.ftruncate(target, os.fstat(source).st_size)
    for start, length in extents(source):
        os.lseek(target, start, os.SEEK_SET)
        done = 0
        while done < length:
            moved = os.sendfile(target, source, start + done, length - done)
            if moved == 0:
                raise OSError("the file became shorter while it was copied")
            done += moved


def sha256(path: Path) -> str:
    """A digest of the content: of the size, and of every mebibyte that is not all zeros with its place.

    Where the file system keeps holes does not count. A missing file has the digest `""`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        running = hashlib.sha256(str(os.fstat(descriptor).st_size).encode())
        last = -1
        for start, length in extents(descriptor):
            for number in range(max(last + 1, start // CHUNK), (start + length - 1) // CHUNK + 1):
                chunk = os.pread(descriptor, CHUNK, number * CHUNK)
                if chunk != ZEROS[: len(chunk)]:
                    running.update(number.to_bytes(8, "big"))
                    running.update(chunk)
                last = number
        return running.hexdigest()
    finally:
        os.close(descriptor)
