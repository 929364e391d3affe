from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagewright.disks.sparse import CHUNK, copy, extents, sha256

PIECES = st.lists(st.tuples(st.integers(0, 6 * CHUNK), st.binary(min_size=1, max_size=300)), max_size=5)


def sparse(path: Path, size: int, *pieces: tuple[int, bytes]) -> Path:
    """A file of `size` bytes with holes between its pieces."""
    with path.open("wb") as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    return path


def copied(source: Path, target: Path) -> Path:
    with source.open("rb") as read, target.open("wb") as write:
        copy(read.fileno(), write.fileno())
    return target


@settings(max_examples=40)
@given(size=st.integers(0, 7 * CHUNK), pieces=PIECES)
def test_a_copy_is_the_same_and_has_the_same_digest(
    tmp_path_factory: pytest.TempPathFactory, size: int, pieces: list[tuple[int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("sparse")
    source = sparse(folder / "source", size, *pieces)
    target = copied(source, folder / "target")
    assert target.read_bytes() == source.read_bytes()
    assert sha256(target) == sha256(source)
    dense = folder / "dense"
    dense.write_bytes(source.read_bytes())
    assert sha256(dense) == sha256(source)


def test_holes_stay_holes(tmp_path: Path) -> None:
    source = sparse(tmp_path / "source", 64 * CHUNK, (5 * CHUNK, b"data"))
    target = copied(source, tmp_path / "target")
    assert target.stat().st_blocks * 512 <= CHUNK
    assert target.stat().st_size == 64 * CHUNK


@pytest.mark.parametrize(
    "change", [(0, b"x"), (3 * CHUNK - 1, b"x"), (4 * CHUNK, b"\1"), (7 * CHUNK + 17, b"\1")], ids=str
)
def test_any_change_makes_another_digest(tmp_path: Path, change: tuple[int, bytes]) -> None:
    one = sparse(tmp_path / "one", 8 * CHUNK, (2 * CHUNK, b"data"))
    other = sparse(tmp_path / "other", 8 * CHUNK, (2 * CHUNK, b"data"), change)
    assert sha256(one) != sha256(other)


def test_the_size_and_the_place_count(tmp_path: Path) -> None:
    files = [
        sparse(tmp_path / "a", 8 * CHUNK, (0, b"data")),
        sparse(tmp_path / "b", 9 * CHUNK, (0, b"data")),
        sparse(tmp_path / "c", 8 * CHUNK, (CHUNK, b"data")),
        sparse(tmp_path / "d", 0),
    ]
    assert len({sha256(file) for file in files}) == len(files)


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    assert sha256(tmp_path / "missing") == ""


def test_memory_without_a_name_is_copied_like_a_file(tmp_path: Path) -> None:
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, 16 * CHUNK)
    os.pwrite(descriptor, b"here", 9 * CHUNK)
    assert [start // CHUNK for start, _ in extents(descriptor)] == [9]
    with (tmp_path / "kept").open("w+b") as kept:
        copy(descriptor, kept.fileno())
        again = os.memfd_create("again")
        copy(kept.fileno(), again)
    assert os.pread(again, 4, 9 * CHUNK) == b"here"
    assert os.fstat(again).st_size == 16 * CHUNK
    os.close(descriptor)
    os.close(again)
