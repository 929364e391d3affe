"""ARM's `uniqueString()` and `guid()`: the same words give the same names as in Azure.

`uniqueString` is 64 bits of MurmurHash3's two-lane 32-bit kind over the words joined by `-`, in base 32 without
padding. Microsoft publishes no description; the tests hold values that Azure and Bicep were seen to give. For `guid`
(version 5, a namespace of ARM's own) no such value was at hand.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence

_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_C1, _C2 = 0x239B961B, 0xAB0E9789
_MASK = 0xFFFFFFFF


def unique_string(words: Sequence[str]) -> str:
    """13 characters of a-z and 2-7."""
    number = _murmur("-".join(words).encode("utf-8", "replace"))
    return base64.b32encode(number.to_bytes(8, "big")).decode().rstrip("=").lower()


def guid(words: Sequence[str]) -> str:
    """A UUID of version 5 in ARM's own namespace."""
    return str(uuid.uuid5(_NAMESPACE, "-".join(words).encode("utf-8", "replace").decode()))


def _murmur(data: bytes) -> int:
    low = high = 0
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        low = _rotate(low ^ _scramble_low(data[at : at + 4]), 19) + high
        low = (low * 5 + 0x561CCD1B) & _MASK
        high = _rotate(high ^ _scramble_high(data[at + 4 : at + 8]), 13) + low
        high = (high * 5 + 0x0BCAA747) & _MASK
    rest = data[whole:]
    low ^= _scramble_low(rest[:4])
    high ^= _scramble_high(rest[4:])
    low ^= len(data)
    high ^= len(data)
    low = (low + high) & _MASK
    high = (high + low) & _MASK
    low, high = _finish(low), _finish(high)
    low = (low + high) & _MASK
    high = (high + low) & _MASK
    return high << 32 | low


def _scramble_low(part: bytes) -> int:
    return _rotate(int.from_bytes(part, "little") * _C1 & _MASK, 15) * _C2 & _MASK


def _scramble_high(part: bytes) -> int:
    return _rotate(int.from_bytes(part, "little") * _C2 & _MASK, 17) * _C1 & _MASK


def _rotate(number: int, bits: int) -> int:
    return (number << bits | number >> (32 - bits)) & _MASK


def _finish(number: int) -> int:
    number = (number ^ number >> 16) * 0x85EBCA6B & _MASK
    number = (number ^ number >> 13) * 0xC2B2AE35 & _MASK
    return number ^ number >> 16
