"""Names and tags: AIB's, where AIB has them, and our own."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from datetime import UTC, datetime

BUILD = "imagewright-build"
EXPIRES = "imagewright-expires"
STARTED = "imagewright-started"
KEY = "imagewright-key"
KIND = "imagewright-kind"
NOTE = "imagewright-note"
USED = "imagewright-used"
MADE_BY = "imagewright-made-by"

LONGEST_GROUP = 90
LONGEST_TAG = 256


def staging_group(resource_group: str, template: str) -> str:
    """`IT_<resource group>_<template>_<guid>`, as AIB names it; the two names are cut evenly to fit 90 characters."""
    tail = uuid.UUID(bytes=secrets.token_bytes(16), version=4)
    room = LONGEST_GROUP - len(f"IT___{tail}")
    first, second = _plain(resource_group), _plain(template)
    keep_first = max(room - len(second), room // 2)
    first = first[:keep_first]
    return f"IT_{first}_{second[: room - len(first)]}_{tail}"


def storage_account(*seed: str) -> str:
    """24 lower-case letters and digits: the same for the same seed, random without one."""
    if not seed:
        return f"iw{secrets.token_hex(11)}"
    return f"iw{hashlib.sha256(chr(0).join(seed).lower().encode()).hexdigest()[:22]}"


def snapshot(key: str, number: int = 0) -> str:
    """The name of disk `number` of the state `key`; 0 is the OS disk."""
    return f"iw-{key[:48]}" + (f"-{number}" if number else "")


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime | None:
    """The time that `stamp` wrote, or None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def tag(text: str) -> str:
    """`text` as the value of a tag may be."""
    return text[:LONGEST_TAG]


def _plain(text: str) -> str:
    return re.sub(r"[^-\w.()]", "-", text, flags=re.ASCII)
