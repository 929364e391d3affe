from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.core.plan import Generation
from imagewright.platforms.local import partitions


def disk(folder: Path, script: str) -> bytes:
    path = folder / "disk"
    path.write_bytes(bytes(16 << 20))
    subprocess.run(["sfdisk", "-q", path], input=script.encode(), check=True)
    return path.read_bytes()[: partitions.HEAD]


needs_sfdisk = pytest.mark.skipif(shutil.which("sfdisk") is None, reason="needs sfdisk")
ESP, LINUX, BIOS = "type=uefi", "type=linux", "type=21686148-6449-6E6F-744E-656564454649"


@needs_sfdisk
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"label: gpt\nsize=1M, {BIOS}\nsize=2M, {ESP}\n{LINUX}\n", Generation.V2),
        (f"label: gpt\n1: {LINUX}, size=1M\n128: {ESP}\n", Generation.V2),
        (f"label: gpt\nsize=1M, {BIOS}\n{LINUX}\n", Generation.V1),
        ("label: gpt\n", Generation.V1),
        ("label: dos\n,,L,*\n", Generation.V1),
        ("label: dos\n,4M,ef\n,,L\n", Generation.V2),
    ],
)
def test_an_efi_system_partition_makes_generation_2(tmp_path: Path, script: str, expected: Generation) -> None:
    assert partitions.generation(disk(tmp_path, script)) is expected


def test_a_disk_without_a_table_boots_by_bios_or_not_at_all() -> None:
    assert partitions.generation(b"") is Generation.V1
    assert partitions.generation(bytes(partitions.HEAD)) is Generation.V1


PROTECTIVE = bytes(446) + b"\0\0\0\0\xee" + bytes(59) + b"\x55\xaa"


@given(st.binary(max_size=4000))
def test_any_bytes_are_taken(raw: bytes) -> None:
    for head in (raw, PROTECTIVE + raw, PROTECTIVE + b"EFI PART" + raw):
        partitions.generation(head)
