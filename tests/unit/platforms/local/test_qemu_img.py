from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagewright.core.errors import PlatformError
from imagewright.disks import vhd
from imagewright.disks.tools import ToolError
from imagewright.platforms.local import qemu_img

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

MIB = 1 << 20


def test_an_empty_disk_is_as_large_as_asked_and_takes_no_room(tmp_path: Path) -> None:
    qemu_img.create_empty(tmp_path / "d.qcow2", 100 * MIB)
    found = qemu_img.info(tmp_path / "d.qcow2")
    assert (found.format, found.virtual_size, found.backing, found.corrupt) == ("qcow2", 100 * MIB, None, False)


def test_an_overlay_reads_through_and_may_be_larger(tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(b"hello".ljust(MIB, b"."))
    qemu_img.create_overlay(tmp_path / "base.raw", "raw", tmp_path / "o.qcow2", 3 * MIB)
    found = qemu_img.info(tmp_path / "o.qcow2")
    assert (found.virtual_size, found.backing) == (3 * MIB, tmp_path / "base.raw")
    assert qemu_img.head(tmp_path / "o.qcow2", "qcow2", tmp_path / "head", 512)[:5] == b"hello"


def test_a_fixed_vhd_is_known_by_its_footer(tmp_path: Path) -> None:
    (tmp_path / "d.raw").write_bytes(bytes(2 * MIB))
    vhd.export(tmp_path / "d.raw", "raw", 2 * MIB, tmp_path / "d.vhd", identity="k")
    assert qemu_img.info(tmp_path / "d.raw") == qemu_img.info(tmp_path / "d.vhd")
    assert qemu_img.info(tmp_path / "d.vhd").virtual_size == 2 * MIB


def test_a_vhd_that_azure_made_is_as_large_as_it_says(tmp_path: Path) -> None:
    """QEMU takes the size of a disk of another maker from its geometry, which ends before the disk does."""
    footer = vhd.footer(64 * MIB, unique_id=bytes(16)).replace(b"qem2", b"wa\0\0")
    with (tmp_path / "d.vhd").open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(64 * MIB)
        file.write(footer)
    assert b"wa\0\0" in footer
    assert qemu_img.info(tmp_path / "d.vhd").virtual_size == 64 * MIB


def test_a_conversion_folds_backing_files_in_and_tells_its_progress(tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(b"hello".ljust(MIB, b"."))
    qemu_img.create_overlay(tmp_path / "base.raw", "raw", tmp_path / "o.qcow2")
    told: list[tuple[int, int]] = []
    target = tmp_path / "whole.qcow2"
    qemu_img.convert(tmp_path / "o.qcow2", "qcow2", target, "qcow2", progress=lambda *now: told.append(now))
    assert qemu_img.info(target).backing is None
    assert qemu_img.head(target, "qcow2", tmp_path / "head", 512)[:5] == b"hello"
    assert told[-1] == (MIB, MIB)
    assert told == sorted(told)


def test_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "d.qcow2").write_bytes(b"QFI\xfb")
    with pytest.raises(ToolError, match="qemu-img failed"):
        qemu_img.convert(tmp_path / "d.qcow2", "qcow2", tmp_path / "out", "raw")
    assert not (tmp_path / "out").exists()


def test_errors_name_the_file_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"qemu-img info failed on .*none: .*No such file"):
        qemu_img.info(tmp_path / "none")
    with pytest.raises(PlatformError, match="qemu-img create failed"):
        qemu_img.create_empty(tmp_path / "no" / "d.qcow2", MIB)


def test_names_that_look_like_something_else_are_names(tmp_path: Path) -> None:
    path = tmp_path / "a,b:c.qcow2"
    qemu_img.create_empty(path, MIB)
    qemu_img.create_overlay(path, "qcow2", tmp_path / "o,1.qcow2")
    assert qemu_img.info(tmp_path / "o,1.qcow2").backing == path
