"""What the commands that build nothing answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.ownership import Owned
from imagewright.core.secret import Mask


@dataclass(frozen=True, slots=True)
class FileReport:
    """What `validate` found in one file. `mask` hides the secrets of the file.

    `templates` are the names of its image templates, `""` where a name is not known.
    """

    file: str
    templates: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    mask: Mask = Mask()

    @property
    def valid(self) -> bool:
        return not any(found.severity is Severity.ERROR for found in self.diagnostics)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that `cleanup` could not delete, and why."""

    owned: Owned
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What `cleanup` did. `running` are the ids of builds that are still alive and were not touched."""

    deleted: tuple[Owned, ...] = ()
    left: tuple[Left, ...] = ()
    running: tuple[str, ...] = ()

    def __add__(self, other: CleanupReport) -> CleanupReport:
        return CleanupReport(self.deleted + other.deleted, self.left + other.left, self.running + other.running)


class Verdict(StrEnum):
    GOOD = "good"
    POOR = "poor"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing `doctor` looked at. `POOR` is slower or less than it could be, `BAD` stops a build."""

    name: str
    verdict: Verdict
    message: str
    hint: str = ""
