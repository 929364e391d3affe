"""What of a sparse file is sent."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from imagewright.disks import carry

MIB = 1 << 20


def _sparse(folder: Path, size: int, *parts: tuple[int, bytes]) -> Path:
    file = folder / "disk"
    with file.open("wb") as out:
        out.truncate(size)
        for offset, data in parts:
            out.seek(offset)
            out.write(data)
    return file


def _again(file: Path) -> bytes:
    """What a page blob would hold after every piece was sent."""
    blob = bytearray(file.stat().st_size)
    for offset, length in carry.pieces(file):
        blob[offset : offset + length] = carry.read(file, offset, length)
    return bytes(blob)


def test_holes_and_zeros_are_not_sent(tmp_path: Path) -> None:
    file = _sparse(tmp_path, 64 * MIB + 512, (0, b"a" * 512), (20 * MIB, bytes(MIB)), (64 * MIB, b"f" * 512))
    assert sum(length for _, length in carry.pieces(file)) < 5 * MIB
    assert _again(file) == file.read_bytes()


def test_an_empty_disk_sends_nothing(tmp_path: Path) -> None:
    assert list(carry.pieces(_sparse(tmp_path, 64 * MIB))) == []


def test_pieces_fit_put_page(tmp_path: Path) -> None:
    file = _sparse(tmp_path, 32 * MIB, (MIB + 512, b"x" * (9 * MIB)))
    for offset, length in carry.pieces(file):
        assert offset % 512 == 0
        assert length % 512 == 0
        assert 0 < length <= 4 * MIB
    assert _again(file) == file.read_bytes()


@given(some.lists(some.tuples(some.integers(0, 4000), some.binary(min_size=1, max_size=2000)), max_size=5))
def test_nothing_is_lost(parts: list[tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = _sparse(Path(folder), 8192 * 512, *((sector * 512, data) for sector, data in parts))
        assert _again(file) == file.read_bytes()
