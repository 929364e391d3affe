"""Deletes what a ledger still lists, last first, and says what could not be deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imagewright.core.errors import CancelledError, ImagewrightError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned
from imagewright.core.report import CleanupReport, Left
from imagewright.engine.ledger import Ledger


def sweep(ledger_file: Path, delete: Callable[[Owned], None], emit: Emit) -> CleanupReport:
    """Each deletion is written to the ledger as it happens: an interrupted sweep is continued by the next one."""
    deleted: list[Owned] = []
    left: list[Left] = []
    ledger = Ledger(ledger_file)
    try:
        for owned in reversed(ledger.pending()):
            try:
                delete(owned)
            except CancelledError:
                raise
            except (ImagewrightError, OSError) as error:
                left.append(Left(owned, str(error), getattr(error, "hint", "")))
                emit(Note(f"could not delete {owned}: {error}", Level.WARNING, getattr(error, "hint", "")))
            else:
                ledger.release(owned)
                deleted.append(owned)
                emit(Note(f"deleted {owned}"))
    finally:
        ledger.close()
    return CleanupReport(tuple(deleted), tuple(left))
