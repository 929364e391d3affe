"""What the start of a disk says about how it boots. Pure."""

from __future__ import annotations

import struct
import uuid

from imagewright.core.plan import Generation

SECTOR = 512
HEAD = 64 * SECTOR
"""How many bytes of a disk are needed."""

_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_PROTECTIVE = 0xEE
_ESP_OF_MBR = 0xEF


def generation(head: bytes) -> Generation:
    """V2 if the disk that starts with `head` has an EFI system partition, otherwise V1."""
    return Generation.V2 if _ESP in gpt_types(head) or _ESP_OF_MBR in mbr_types(head) else Generation.V1


def bootable(head: bytes) -> bool:
    """Whether there is a boot record at all; a disk with a GUID partition table has one too."""
    return head[510:SECTOR] == b"\x55\xaa"


def mbr_types(head: bytes) -> list[int]:
    """The types of the partitions in the first sector, `[]` if it is no boot record."""
    if not bootable(head):
        return []
    return [kind for number in range(4) if (kind := head[446 + number * 16 + 4])]


def gpt_types(head: bytes) -> list[uuid.UUID]:
    """The types of the partitions in the GUID partition table, as far as `head` reaches; `[]` if there is none."""
    if _PROTECTIVE not in mbr_types(head) or head[SECTOR : SECTOR + 8] != b"EFI PART":
        return []
    start, count, size = struct.unpack_from("<QII", head, SECTOR + 72) if len(head) >= 2 * SECTOR else (0, 0, 0)
    if size < 128 or size > SECTOR or start > HEAD:
        return []
    entries = (head[start * SECTOR + number * size :][:16] for number in range(min(count, 128)))
    return [uuid.UUID(bytes_le=entry) for entry in entries if len(entry) == 16 and any(entry)]
