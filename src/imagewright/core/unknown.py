"""A value that nobody knows yet: a parameter without a value, an unfilled `<placeholder>`, `reference()`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands where a value would stand; whatever is computed from it is unknown too. `reason` is for people."""

    reason: str

    def __str__(self) -> str:
        return f"(unknown: {self.reason})"


REPORTED = Unknown("reported")
"""Stands for what a diagnostic was written about already."""
