"""Which number a new gallery image version gets: AIB's `distributor.versioning`, as a pure function."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from imagewright.core.errors import DistributionError
from imagewright.core.plan import ExplicitVersion, LatestVersioning, SourceVersioning, Versioning

LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """`major.minor.patch`, ordered as numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse(text: str) -> Version | None:
    """The version in `text`, or None if it is not three numbers that Azure would take."""
    found = re.fullmatch(r"(\d{1,10})\.(\d{1,10})\.(\d{1,10})", text, re.ASCII)
    numbers = [int(part) for part in found.groups()] if found else []
    return Version(*numbers) if numbers and max(numbers) <= LARGEST else None


def choose(versioning: Versioning, existing: Collection[Version], source_version: str) -> Version:
    """The version for a new image beside the `existing` ones. Raises DistributionError if it is taken or none.

    `Latest` is the next patch after the highest version, or after the highest of its `major`. Where there is none to
    follow, 0.0.0 (or `major`.0.0) counts as the one before, so an empty definition starts with 0.0.1. Versions that
    are excluded from latest count too. AIB's own choice for an empty definition is not published.
    """
    match versioning:
        case LatestVersioning(major):
            return _next(existing, major)
        case SourceVersioning():
            wanted = parse(source_version)
            if wanted is None:
                raise DistributionError(
                    f"the source's version `{source_version}` cannot be the version of a gallery image",
                    hint="that takes three numbers (1.0.0): use the scheme `Latest`, or give a version",
                )
        case ExplicitVersion(text):
            wanted = parse(text)
            if wanted is None:
                raise DistributionError(f"`{text}` is not a version", hint="three numbers, for example 1.0.0")
        case _:
            assert_never(versioning)
    if wanted in existing:
        raise DistributionError(
            f"version {wanted} exists already, and versions are never overwritten",
            hint="raise the number, or let the scheme `Latest` choose it",
        )
    return wanted


def _next(existing: Collection[Version], major: int) -> Version:
    others = [version for version in existing if major in (-1, version.major)]
    before = max(others, default=Version(max(major, 0), 0, 0))
    if before.patch == LARGEST:
        raise DistributionError(f"there is no patch after {before}", hint="start a new major or minor version")
    return Version(before.major, before.minor, before.patch + 1)
