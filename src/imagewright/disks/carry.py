"""What of a sparse disk file has to be sent: the ranges that hold data, cut into pieces, without the zeros."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from imagewright.disks import sparse

SECTOR = 512
PIECE = 4 << 20
"""Bytes: the most that one Put Page takes."""


def allocated(path: Path) -> Iterator[tuple[int, int]]:
    """(offset, length) of what the file system holds of `path`, in whole sectors; holes are passed over."""
    with path.open("rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        for offset, length in sparse.extents(file.fileno()):
            start = offset - offset % SECTOR
            yield start, min(end, -(-(offset + length) // SECTOR) * SECTOR) - start


def pieces(path: Path, size: int = PIECE) -> Iterator[tuple[int, int]]:
    """(offset, length) of at most `size` bytes each, on the grid of `size`, none of them only zeros."""
    with path.open("rb") as file:
        for offset, length in allocated(path):
            position, end = offset, offset + length
            while position < end:
                step = min(size - position % size, end - position)
                if not _blank(file, position, step):
                    yield position, step
                position += step


def read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _blank(file: BinaryIO, offset: int, length: int) -> bool:
    file.seek(offset)
    data = file.read(length)
    return data.count(0) == len(data)
