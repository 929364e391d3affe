"""Fixed VHDs as Azure wants them: the disk's bytes, then one footer of 512 bytes.

The format is Microsoft's "Virtual Hard Disk Image Format Specification" (2006); the rules of `check` are those of
Azure's "Prepare a VHD to upload" page.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imagewright.core.errors import DistributionError
from imagewright.core.files import partial_of
from imagewright.disks import tools
from imagewright.disks.convert import Progress, convert

MIB = 1 << 20
FOOTER_SIZE = 512
MAX_SIZE = 4095 << 30
"""The largest managed disk that can be made from a VHD, in bytes."""

FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_KINDS = {FIXED: "fixed", _DYNAMIC: "dynamic", _DIFFERENCING: "differencing"}
_LAYOUT = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_CHECKSUM = slice(64, 68)
_NO_OFFSET = 0xFFFFFFFFFFFFFFFF
_CREATOR = b"qem2"  # QEMU takes the size from the footer for this creator, from the geometry for unknown ones
_WINDOWS = b"Wi2k"


@dataclass(frozen=True, slots=True)
class Footer:
    """What a footer says. `created` is in seconds since 2000-01-01 UTC, sizes are in bytes."""

    features: int
    version: int
    data_offset: int
    created: int
    creator: bytes
    creator_version: int
    creator_os: bytes
    original_size: int
    current_size: int
    geometry: tuple[int, int, int]
    kind: int
    checksum: int
    unique_id: bytes
    saved_state: int
    checksum_is_right: bool


def footer(size: int, *, unique_id: bytes, created: int = 0) -> bytes:
    """The footer of a fixed VHD of `size` bytes: 512 bytes, the same for the same arguments."""
    if len(unique_id) != 16 or size < 0 or size % FOOTER_SIZE:
        raise ValueError("a VHD has a unique id of 16 bytes and a size of whole sectors")
    raw = _LAYOUT.pack(
        b"conectix", 2, 0x00010000, _NO_OFFSET, created, _CREATOR, 0x00010000, _WINDOWS,
        size, size, *geometry(size), FIXED, 0, unique_id, 0,
    )  # fmt: skip
    return raw[: _CHECKSUM.start] + struct.pack(">I", _checksum(raw)) + raw[_CHECKSUM.stop :]


def parse_footer(raw: bytes) -> Footer | None:
    """The footer in the 512 bytes `raw`, or None if it is none."""
    if len(raw) != FOOTER_SIZE or raw[:8] != b"conectix":
        return None
    _, features, version, data_offset, created, creator, creator_version, creator_os, *rest = _LAYOUT.unpack(raw)
    original_size, current_size, cylinders, heads, sectors, kind, checksum, unique_id, saved_state = rest
    return Footer(
        features=features,
        version=version,
        data_offset=data_offset,
        created=created,
        creator=creator,
        creator_version=creator_version,
        creator_os=creator_os,
        original_size=original_size,
        current_size=current_size,
        geometry=(cylinders, heads, sectors),
        kind=kind,
        checksum=checksum,
        unique_id=unique_id,
        saved_state=saved_state,
        checksum_is_right=checksum == _checksum(raw),
    )


def footer_of(file: BinaryIO) -> Footer | None:
    """The footer of an open file, or None if it ends with none."""
    end = file.seek(0, 2)
    file.seek(max(0, end - FOOTER_SIZE))
    return parse_footer(file.read(FOOTER_SIZE))


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track, by the algorithm in the appendix of the specification."""
    total = min(size // 512, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    sectors = 17
    cylinder_heads = total // sectors
    heads = max(4, (cylinder_heads + 1023) // 1024)
    if cylinder_heads >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
        cylinder_heads = total // sectors
    if cylinder_heads >= heads * 1024:
        sectors, heads = 63, 16
        cylinder_heads = total // sectors
    return cylinder_heads // heads, heads, sectors


def aligned(size: int) -> int:
    """`size` rounded up to a whole MiB, as Azure demands of a virtual size."""
    return -(-size // MIB) * MIB


def export(
    source: Path,
    source_format: str,
    size: int,
    target: Path,
    *,
    identity: str,
    partial: Path | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Write the disk `source` (`size` bytes of virtual size) to `target` as a fixed VHD, sparse, whole or not at all.

    The same disk with the same `identity` gives the same file, bit for bit. `partial` is where it is put together,
    by default beside `target`. `progress` is told bytes, `check` is called often and may raise. Raises
    DistributionError.
    """
    whole = aligned(size)
    if whole > MAX_SIZE:
        raise DistributionError(
            f"a disk of {size} bytes is larger than Azure's {MAX_SIZE >> 30} GiB", hint="lower osDiskSizeGB"
        )
    fresh = partial or partial_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            convert(source, source_format, fresh, "raw", size=size, progress=progress, check=check)
            with fresh.open("r+b") as file:
                file.truncate(whole)
                file.seek(whole)
                file.write(footer(whole, unique_id=_unique_id(identity)))
            if check is not None:
                check()
            fresh.replace(target)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except tools.ToolError as error:
        raise DistributionError(f"{target} could not be written: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise DistributionError(f"{target} could not be written: {error.strerror}") from error


def check(path: Path) -> list[str]:
    """Which of Azure's rules for an uploaded VHD the file `path` breaks; none if it is fine."""
    with path.open("rb") as file:
        start = file.read(8)
        found = footer_of(file)
        end = file.seek(0, 2)
    if start == b"vhdxfile":
        return ["it is a VHDX: Azure takes VHDs only"]
    if found is None:
        return ["it has no VHD footer"]
    problems = []
    if found.kind != FIXED:
        problems.append(f"it is a {_KINDS.get(found.kind, 'strange')} VHD: Azure takes fixed ones only")
    if not found.checksum_is_right:
        problems.append("the checksum of its footer is wrong")
    if found.version != 0x00010000:
        problems.append(f"its footer is of an unknown version, {found.version:#x}")
    if found.current_size % MIB:
        problems.append(f"its virtual size, {found.current_size} bytes, is not a whole number of MiB")
    if found.kind == FIXED and found.current_size != end - FOOTER_SIZE:
        problems.append(f"its footer says {found.current_size} bytes, but {end - FOOTER_SIZE} are there")
    if found.kind == FIXED and found.data_offset != _NO_OFFSET:
        problems.append("its footer points to a header that fixed VHDs do not have")
    if found.saved_state:
        problems.append("it holds a saved state")
    if not MIB <= found.current_size <= MAX_SIZE:
        problems.append(f"its virtual size is not between 1 MiB and {MAX_SIZE >> 30} GiB")
    return problems


def _checksum(raw: bytes) -> int:
    """One's complement of the sum of all bytes but the checksum's own."""
    return ~(sum(raw) - sum(raw[_CHECKSUM])) & 0xFFFFFFFF


def _unique_id(identity: str) -> bytes:
    return hashlib.sha256(b"imagewright.vhd.v1\0" + identity.encode()).digest()[:16]
