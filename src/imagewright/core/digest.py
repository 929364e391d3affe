"""Digests of typed values: the same value has the same digest in every process, on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from enum import Enum

from imagewright.core.actions import Inline, Remote, Staged
from imagewright.core.address import shown
from imagewright.core.secret import Mask, Secret


class UnresolvedError(TypeError):
    """Something was hashed whose content is not known yet: a defect of ours, never of the user's."""


def digest(tag: str, *values: object, mask: Mask | None = None) -> str:
    """SHA-256 (64 hex digits) over `tag`, a name with a version, and `values`.

    Strings, numbers, booleans, None, enums, tuples, mappings and frozen dataclasses are taken; each is written with
    its type and length, so that no two different values share an encoding. Secrets count by name, and
    a text that looks like a masked one is another one. A `Staged` counts by its content alone. A `Remote` raises
    UnresolvedError.
    """
    running = hashlib.sha256()
    mask = mask or Mask()
    for part in _encode((tag, *values), mask):
        running.update(part)
    return running.hexdigest()


def _encode(value: object, mask: Mask) -> list[bytes]:
    match value:
        case Remote():
            raise UnresolvedError(f"{shown(value.uri)} was not read yet, it has no digest")
        case Staged():
            return [b"staged:", value.sha256.encode()]
        case Inline():
            return [b"content:", *_encode(value.text, mask)]
        case Secret():
            return [b"secret:", *_encode(value.name, mask)]
        case None:
            return [b"none;"]
        case Enum():
            return [b"enum:", *_encode(value.value, mask)]
        case bool():
            return [b"true;" if value else b"false;"]
        case int() | float():
            return [f"number:{value!r};".encode()]
        case str():
            pieces = mask.split(value)
            if len(pieces) > 1:
                return [b"masked:", *_encode(pieces, Mask())]
            raw = value.encode("utf-8", "surrogatepass")
            return [f"text:{len(raw)}:".encode(), raw]
        case bytes():
            return [f"bytes:{len(value)}:".encode(), value]
        case tuple() | list():
            parts = [f"list:{len(value)}:".encode()]
            for item in value:
                parts += _encode(item, mask)
            return parts
        case Mapping():
            parts = [f"map:{len(value)}:".encode()]
            for key in sorted(value):
                parts += _encode(key, mask) + _encode(value[key], mask)
            return parts
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            parts = [f"record:{type(value).__name__}:{len(fields)}:".encode()]
            for field in fields:
                parts += _encode(field.name, mask) + _encode(getattr(value, field.name), mask)
            return parts
        case _:
            raise UnresolvedError(f"a {type(value).__name__} cannot be hashed")
