"""GRUB for BIOS, embedded by hand: what `grub-bios-setup` does to a disk, as a pure function on bytes.

The offsets are those of GRUB's `include/grub/i386/pc/boot.h` and `grub-core/boot/i386/pc/*.S`.
"""

from __future__ import annotations

import struct

SECTOR = 512
_KERNEL_SECTOR = 0x5C  # boot.img: the LBA of core.img's first sector
_BOOT_DRIVE = 0x64  # boot.img: 0xFF, the drive that the BIOS started us from
_DRIVE_CHECK = 0x66  # boot.img: a jump that only floppies need
_CODE_START = 0x5A  # boot.img: what lies before is a BIOS parameter block and belongs to the disk
_CODE_END = 0x1B8  # boot.img: what lies behind is the disk's signature and its partition table
_BLOCK_LIST = SECTOR - 12  # diskboot.img, the first sector of core.img: where the rest of it is
_LOAD_SEGMENT = 0x820  # the rest of core.img is loaded to 0x8200


def embed(master: bytes, boot: bytes, core: bytes, core_lba: int) -> tuple[bytes, bytes]:
    """The first sector and the core image as they must be written.

    `master` is the disk's first sector as it is, `boot` GRUB's boot.img, `core` a core.img of `grub-mkimage -O
    i386-pc`, which goes to sector `core_lba` (a BIOS boot partition). Raises ValueError if the pieces do not fit.
    """
    if len(master) != SECTOR or len(boot) != SECTOR or boot[-2:] != b"\x55\xaa":
        raise ValueError("boot.img and the disk's first sector are 512 bytes each")
    if len(core) <= SECTOR:
        raise ValueError("core.img is too short to be one")
    padded = bytearray(core + bytes(-len(core) % SECTOR))
    struct.pack_into("<QHH", padded, _BLOCK_LIST, core_lba + 1, len(padded) // SECTOR - 1, _LOAD_SEGMENT)
    first = bytearray(boot)
    first[0x03:_CODE_START] = master[0x03:_CODE_START]
    first[_CODE_END:] = master[_CODE_END:]
    first[-2:] = b"\x55\xaa"
    struct.pack_into("<Q", first, _KERNEL_SECTOR, core_lba)
    first[_BOOT_DRIVE] = 0xFF
    first[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    return bytes(first), bytes(padded)
