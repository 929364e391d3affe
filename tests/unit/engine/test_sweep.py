from __future__ import annotations

from pathlib import Path

import pytest

from imagewright.core.errors import CancelledError, PlatformError
from imagewright.core.events import Event, Level, Note
from imagewright.core.ownership import Owned
from imagewright.core.report import CleanupReport, Left
from imagewright.engine.ledger import Ledger, pending
from imagewright.engine.sweep import delete_each, sweep

ONE, TWO, THREE = (Owned("local", "machine", name) for name in ("one", "two", "three"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    for owned in (ONE, TWO, THREE):
        ledger.own(owned)
    ledger.close()
    return path


def test_what_a_dead_build_left_is_deleted_last_first(file: Path) -> None:
    gone: list[Owned] = []
    assert sweep(file, gone.append, lambda event: None) == CleanupReport(deleted=(THREE, TWO, ONE))
    assert gone == [THREE, TWO, ONE]
    assert pending(file) == ()


def test_what_cannot_be_deleted_stays_and_is_said(file: Path) -> None:
    def delete(owned: Owned) -> None:
        if owned == TWO:
            raise PlatformError("it is locked", hint="unlock it")

    events: list[Event] = []
    assert sweep(file, delete, events.append).left == (Left(TWO, "it is locked", "unlock it"),)
    assert pending(file) == (TWO,)
    assert Note("could not delete machine two: it is locked", Level.WARNING, "unlock it") in events


def test_what_is_in_no_ledger_is_deleted_likewise_and_a_cancel_ends_that_too(file: Path) -> None:
    def delete(owned: Owned) -> None:
        if owned == ONE:
            raise PlatformError("it is locked")
        if owned == THREE:
            raise CancelledError("cancelled by SIGINT")

    assert delete_each((ONE, TWO), delete, lambda event: None) == CleanupReport((TWO,), (Left(ONE, "it is locked"),))
    with pytest.raises(CancelledError):
        delete_each((THREE, TWO), delete, lambda event: None)


def test_a_sweep_that_is_interrupted_is_continued_by_the_next_one(file: Path) -> None:
    def delete(owned: Owned) -> None:
        if owned == TWO:
            raise CancelledError("cancelled by SIGINT")

    with pytest.raises(CancelledError):
        sweep(file, delete, lambda event: None)
    assert pending(file) == (ONE, TWO)
    assert sweep(file, lambda owned: None, lambda event: None).deleted == (TWO, ONE)
