"""A value that nobody knows yet: a parameter without a value, an unfilled `<placeholder>`, `reference()`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands where a value would stand; whatever is computed from it is unknown too. `reason` and `hint` are for
    people: why, and how it can be made known. `code` is that of the diagnostic."""

    reason: str
    hint: str = "give the value itself, or what it depends on"
    code: str = "unknown-value"

    def __str__(self) -> str:
        return f"(unknown: {self.reason})"


REPORTED = Unknown("reported")
"""Stands for what a diagnostic was written about already."""

UNKNOWN_LOCATION = "unknown-location"
"""The code of what asks for the location of the resource group, where nobody gave it."""
