from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.core.errors import CancelledError, DistributionError
from imagewright.disks import vhd

MIB = 1 << 20
needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


def test_a_footer_has_every_field_where_the_specification_puts_it() -> None:
    raw = vhd.footer(20 * MIB, unique_id=bytes(range(16)), created=0x01020304)
    assert len(raw) == 512
    assert raw[0:8] == b"conectix"
    assert struct.unpack(">II", raw[8:16]) == (2, 0x00010000)
    assert raw[16:24] == b"\xff" * 8
    assert raw[24:28] == b"\x01\x02\x03\x04"
    assert raw[36:40] == b"Wi2k"
    assert struct.unpack(">QQ", raw[40:56]) == (20 * MIB, 20 * MIB)
    assert struct.unpack(">HBB", raw[56:60]) == (602, 4, 17)
    assert struct.unpack(">I", raw[60:64]) == (2,)
    assert struct.unpack(">I", raw[64:68])[0] == 0xFFFFFFFF - (sum(raw) - sum(raw[64:68]))
    assert raw[68:84] == bytes(range(16))
    assert raw[84:] == bytes(428)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (MIB, (30, 4, 17)),
        (504 * MIB, (1024, 16, 63)),
        (4 << 30, (8322, 16, 63)),
        (30 << 30, (62415, 16, 63)),
        (127 << 30, (65278, 16, 255)),
        (2 << 40, (65535, 16, 255)),
    ],
)
def test_the_geometry_follows_the_specification(size: int, expected: tuple[int, int, int]) -> None:
    assert vhd.geometry(size) == expected


@given(st.integers(1, 4096 << 10), st.binary(min_size=16, max_size=16), st.integers(0, 0xFFFFFFFF))
def test_what_is_written_is_read_back(mebibytes: int, unique_id: bytes, created: int) -> None:
    found = vhd.parse_footer(vhd.footer(mebibytes * MIB, unique_id=unique_id, created=created))
    assert found is not None
    assert found.checksum_is_right
    assert (found.current_size, found.original_size) == (mebibytes * MIB, mebibytes * MIB)
    assert (found.unique_id, found.created, found.kind) == (unique_id, created, 2)
    assert found.geometry == vhd.geometry(mebibytes * MIB)


@given(st.binary(max_size=600))
def test_anything_can_be_parsed(raw: bytes) -> None:
    vhd.parse_footer(raw)
    vhd.parse_footer((b"conectix" + raw).ljust(512, b"\0")[:512])


@pytest.mark.parametrize(("size", "expected"), [(1, MIB), (MIB, MIB), (MIB + 1, 2 * MIB), (0, 0)])
def test_sizes_are_rounded_up_to_whole_mebibytes(size: int, expected: int) -> None:
    assert vhd.aligned(size) == expected


def make_disk(folder: Path, size: int) -> Path:
    """A qcow2 with a little data at both ends and nothing between."""
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.write(os.urandom(100_000))
        file.seek(size - 4096)
        file.write(os.urandom(4096))
    disk = folder / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    return disk


@needs_qemu_img
def test_an_export_holds_the_disk_and_follows_azures_rules(tmp_path: Path) -> None:
    size = 300 * MIB + 512 * 7
    disk = make_disk(tmp_path, size)
    told: list[tuple[int, int]] = []
    target = tmp_path / "out" / "web.vhd"
    vhd.export(disk, "qcow2", size, target, identity="k1", progress=lambda done, total: told.append((done, total)))
    assert vhd.check(target) == []
    assert target.stat().st_size == 301 * MIB + 512
    assert target.stat().st_blocks * 512 < 2 * MIB
    with target.open("rb") as file, (tmp_path / "disk.raw").open("rb") as raw:
        assert file.read(size) == raw.read()
    assert told[-1] == (size, size)
    assert [path.name for path in target.parent.iterdir()] == ["web.vhd"]


@needs_qemu_img
def test_qemu_reads_an_export_at_its_full_size(tmp_path: Path) -> None:
    target = tmp_path / "web.vhd"
    vhd.export(make_disk(tmp_path, 33 * MIB), "qcow2", 33 * MIB, target, identity="k")
    said = subprocess.run(
        ["qemu-img", "info", "-f", "vpc", "--output=json", target], capture_output=True, check=True, text=True
    ).stdout
    assert json.loads(said)["virtual-size"] == 33 * MIB
    compare = ["qemu-img", "compare", "-f", "qcow2", "-F", "vpc", tmp_path / "disk.qcow2", target]
    assert subprocess.run(compare, check=False, capture_output=True).returncode == 0


@needs_qemu_img
def test_the_same_disk_gives_the_same_file(tmp_path: Path) -> None:
    disk = make_disk(tmp_path, 8 * MIB)

    def digest(name: str, identity: str) -> str:
        vhd.export(disk, "qcow2", 8 * MIB, tmp_path / name, identity=identity)
        return hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()

    assert digest("a.vhd", "one") == digest("b.vhd", "one")
    assert digest("a.vhd", "one") != digest("b.vhd", "two")


@needs_qemu_img
def test_a_damaged_source_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"not a disk at all" * 100)
    with pytest.raises(DistributionError, match=r"web\.vhd could not be written: qemu-img failed"):
        vhd.export(tmp_path / "disk.qcow2", "qcow2", MIB, tmp_path / "out" / "web.vhd", identity="k")
    assert list((tmp_path / "out").iterdir()) == []


@needs_qemu_img
def test_a_cancel_leaves_what_was_there_before(tmp_path: Path) -> None:
    disk = make_disk(tmp_path, 64 * MIB)
    target = tmp_path / "out" / "web.vhd"
    target.parent.mkdir()
    target.write_text("the former one")

    def cancel() -> None:
        raise CancelledError("the build was cancelled")

    with pytest.raises(CancelledError):
        vhd.export(disk, "qcow2", 64 * MIB, target, identity="k", check=cancel)
    assert [path.name for path in target.parent.iterdir()] == ["web.vhd"]
    assert target.read_text() == "the former one"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a qemu-img of ours in front of the real one."""

    def write(body: str) -> None:
        path = tmp_path / "bin" / "qemu-img"
        path.parent.mkdir()
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return write


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, tool: Callable[[str], None]) -> None:
    tool('echo half >"${@: -1}"; echo "qemu-img: error while writing: No space left on device" >&2; exit 1')
    with pytest.raises(DistributionError) as caught:
        vhd.export(tmp_path / "disk", "raw", MIB, tmp_path / "out" / "web.vhd", identity="k")
    assert "No space left on device" in caught.value.message
    assert "free some space" in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_a_killed_qemu_img_is_said_and_leaves_nothing(tmp_path: Path, tool: Callable[[str], None]) -> None:
    tool('echo half >"${@: -1}"; kill -KILL $$')
    with pytest.raises(DistributionError, match="was killed by signal 9"):
        vhd.export(tmp_path / "disk", "raw", MIB, tmp_path / "out" / "web.vhd", identity="k")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DistributionError, match="could not be written"):
        vhd.export(tmp_path / "disk", "raw", MIB, tmp_path / "file" / "web.vhd", identity="k")


def test_a_disk_too_large_for_azure_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match="larger than Azure's 4095 GiB"):
        vhd.export(tmp_path / "disk", "raw", 5 << 40, tmp_path / "web.vhd", identity="k")


def written(path: Path, size: int, end: bytes) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(end)
    return path


def patched(raw: bytes, offset: int, new: bytes) -> bytes:
    return raw[:offset] + new + raw[offset + len(new) :]


GOOD = vhd.footer(2 * MIB, unique_id=bytes(16))


@pytest.mark.parametrize(
    ("size", "end", "complaint"),
    [
        (2 * MIB, b"", "no VHD footer"),
        (2 * MIB, GOOD[:-1] + b"\1", "checksum"),
        (2 * MIB, patched(GOOD, 60, b"\0\0\0\3"), "dynamic VHD"),
        (3 * MIB, GOOD, "says 2097152 bytes, but 3145728"),
        (MIB + 512, vhd.footer(MIB + 512, unique_id=bytes(16)), "not a whole number of MiB"),
        (2 * MIB, patched(GOOD, 84, b"\1"), "saved state"),
        (2 * MIB, patched(GOOD, 16, bytes(8)), "points to a header"),
        (2 * MIB, patched(GOOD, 12, b"\0\2\0\0"), "unknown version"),
        (0, vhd.footer(0, unique_id=bytes(16)), "not between 1 MiB"),
    ],
)
def test_what_azure_would_refuse_is_found(tmp_path: Path, size: int, end: bytes, complaint: str) -> None:
    assert any(complaint in problem for problem in vhd.check(written(tmp_path / "x.vhd", size, end)))


def test_a_vhdx_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.vhd").write_bytes(b"vhdxfile" + bytes(10_000))
    assert vhd.check(tmp_path / "x.vhd") == ["it is a VHDX: Azure takes VHDs only"]


@needs_qemu_img
def test_a_dynamic_vhd_of_qemu_is_refused(tmp_path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "vpc", tmp_path / "x.vhd", "10M"], check=True)
    assert any("dynamic" in problem for problem in vhd.check(tmp_path / "x.vhd"))
