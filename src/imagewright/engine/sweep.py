"""Deletes what builds that are over have left, and says what could not be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from imagewright.core.errors import CancelledError, ImagewrightError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned
from imagewright.core.report import CleanupReport, Left
from imagewright.engine.ledger import Ledger

Delete = Callable[[Owned], None]


def sweep(ledger_file: Path, delete: Delete, emit: Emit) -> CleanupReport:
    """What a ledger still lists, last first. Each deletion is written to the ledger as it happens: an interrupted
    sweep is continued by the next one."""

    def release(owned: Owned) -> None:
        delete(owned)
        ledger.release(owned)

    with closing(Ledger(ledger_file)) as ledger:
        return delete_each(reversed(ledger.pending()), release, emit)


def delete_each(doomed: Iterable[Owned], delete: Delete, emit: Emit) -> CleanupReport:
    """One that cannot be deleted does not stop the others. Raises CancelledError only."""
    deleted: list[Owned] = []
    left: list[Left] = []
    for owned in doomed:
        try:
            delete(owned)
        except CancelledError:
            raise
        except (ImagewrightError, OSError) as error:
            hint = getattr(error, "hint", "")
            left.append(Left(owned, str(error), hint))
            emit(Note(f"could not delete {owned}: {error}", Level.WARNING, hint))
        else:
            deleted.append(owned)
            emit(Note(f"deleted {owned}"))
    return CleanupReport(tuple(deleted), tuple(left))
