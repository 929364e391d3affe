from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.platforms.local import grub_bios

BOOT = bytes(range(256)) + bytes(254) + b"\x55\xaa"
MODULES = Path("/usr/lib/grub/i386-pc")


@given(st.binary(min_size=512, max_size=512), st.binary(min_size=513, max_size=5000), st.integers(1, 2**40))
def test_the_disk_keeps_what_is_its_own(master: bytes, core: bytes, lba: int) -> None:
    first, padded = grub_bios.embed(master, BOOT, core, lba)
    assert len(first) == 512
    assert first[3:0x5A] == master[3:0x5A]
    assert first[440:510] == master[440:510]
    assert first[:3] == BOOT[:3]
    assert first[510:] == b"\x55\xaa"
    assert struct.unpack_from("<Q", first, 0x5C) == (lba,)
    assert first[0x64:0x68] == b"\xff" + BOOT[0x65:0x66] + b"\x90\x90"
    assert len(padded) % 512 == 0
    assert len(padded) - len(core) < 512
    assert struct.unpack_from("<QHH", padded, 500) == (lba + 1, len(padded) // 512 - 1, 0x820)
    assert padded[512 : len(core)] == core[512:]


@pytest.mark.parametrize(
    ("master", "boot", "core"),
    [(b"", BOOT, bytes(600)), (bytes(512), BOOT[:-1], bytes(600)), (bytes(512), bytes(512), bytes(600)),
     (bytes(512), BOOT, bytes(512))],
)  # fmt: skip
def test_pieces_that_do_not_fit_are_refused(master: bytes, boot: bytes, core: bytes) -> None:
    with pytest.raises(ValueError, match="img"):
        grub_bios.embed(master, boot, core, 2048)


@pytest.mark.skipif(
    not (shutil.which("grub-mkimage") and (MODULES / "boot.img").exists()), reason="needs grub-pc-bin"
)
def test_a_real_core_is_left_as_grub_made_it_but_for_its_place(tmp_path: Path) -> None:
    path = tmp_path / "core.img"
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-o", path, "-p", "/boot/grub", "biosdisk", "ext2"], check=True)
    core = path.read_bytes()
    _, padded = grub_bios.embed(bytes(512), (MODULES / "boot.img").read_bytes(), core, 1)
    assert padded[: len(core)] == core  # grub-mkimage presumes that the core lies behind the first sector
