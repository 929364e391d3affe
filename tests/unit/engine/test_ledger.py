from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned
from imagewright.engine.ledger import Ledger, pending

ONE, TWO, THREE = (Owned("local", "process", name) for name in ("one", "two", "three"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "build" / "ledger.jsonl"


def test_what_is_owned_and_not_released_is_pending_in_the_order_of_creation(path: Path) -> None:
    ledger = Ledger(path)
    for owned in (ONE, TWO, THREE):
        ledger.own(owned)
    ledger.release(TWO)
    assert ledger.pending() == pending(path) == (ONE, THREE)
    ledger.close()


def test_a_ledger_is_opened_again_where_it_was_left(path: Path) -> None:
    first = Ledger(path)
    first.own(ONE)
    first.own(TWO)
    first.close()
    second = Ledger(path)
    second.release(ONE)
    second.own(THREE)
    assert second.pending() == pending(path) == (TWO, THREE)
    second.close()


def test_a_missing_ledger_owes_nothing(path: Path) -> None:
    assert pending(path) == ()


def test_the_same_thing_owned_twice_is_released_twice(path: Path) -> None:
    ledger = Ledger(path)
    for _ in range(2):
        ledger.own(ONE)
    ledger.release(ONE)
    assert pending(path) == (ONE,)
    ledger.release(ONE)
    assert pending(path) == ()
    ledger.release(ONE)
    assert pending(path) == ()
    ledger.close()


def test_nobody_else_may_read_it(path: Path) -> None:
    Ledger(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_detail_and_strange_names_survive(path: Path) -> None:
    strange = Owned("azure", "resource-group", 'zürich"\n{}', "Абв")
    ledger = Ledger(path)
    ledger.own(strange)
    ledger.close()
    assert pending(path) == (strange,)


@settings(max_examples=50)
@given(cut=st.integers(min_value=0, max_value=400))
def test_a_ledger_cut_off_anywhere_is_readable_and_forgets_nothing_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """A crash may cut the last line, wherever: the lines before it count, and the next build can go on."""
    path = tmp_path_factory.mktemp("cut") / "ledger.jsonl"
    ledger = Ledger(path)
    for owned in (ONE, TWO, THREE):
        ledger.own(owned)
    ledger.release(ONE)
    ledger.close()
    whole = path.read_bytes()
    left = whole[:cut]
    path.write_bytes(left)
    lines = left.count(b"\n") + (left.endswith(b"}}"))
    assert pending(path) == [(), (ONE,), (ONE, TWO), (ONE, TWO, THREE), (TWO, THREE)][min(lines, 4)]
    again = Ledger(path)
    again.own(Owned("local", "process", "later"))
    again.close()
    assert Owned("local", "process", "later") in pending(path)


@pytest.mark.parametrize(
    "line",
    ["", "null", "[]", "{}", "7", '{"own": 1}', '{"own": {"platform": "x"}}', '{"own": {"no": "such"}}', "\0\0"],
)
def test_lines_that_are_no_entries_are_passed_over(path: Path, line: str) -> None:
    ledger = Ledger(path)
    ledger.own(ONE)
    ledger.close()
    with path.open("a") as file:
        file.write(line + "\n")
    assert pending(path) == (ONE,)


@pytest.fixture
def full(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """From now on the disk takes so many bytes more, in small pieces."""
    write = os.write

    def limit(space: int) -> None:
        left = [space]

        def writes(descriptor: int, data: bytes) -> int:
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = write(descriptor, bytes(data)[: min(left[0], 7)])
            left[0] -= taken
            return taken

        monkeypatch.setattr(os, "write", writes)

    return limit


def test_a_line_that_is_taken_in_pieces_is_written_whole(path: Path, full: Callable[[int], None]) -> None:
    ledger = Ledger(path)
    full(1 << 20)
    ledger.own(ONE)
    assert pending(path) == (ONE,)
    ledger.close()


@pytest.mark.parametrize("space", [0, 1, 20, 70])
def test_on_a_full_disk_nothing_is_owned_and_the_next_line_is_whole(
    path: Path, full: Callable[[int], None], space: int
) -> None:
    ledger = Ledger(path)
    ledger.own(ONE)
    full(space)
    with pytest.raises(PlatformError, match="cannot be written: No space left on device") as caught:
        ledger.own(TWO)
    assert "free some space" in caught.value.hint
    assert ledger.pending() == pending(path) == (ONE,)
    full(1 << 20)
    ledger.own(THREE)
    assert ledger.pending() == pending(path) == (ONE, THREE)
    ledger.close()


def test_on_a_full_disk_what_is_deleted_is_no_error(path: Path, full: Callable[[int], None]) -> None:
    ledger = Ledger(path)
    ledger.own(ONE)
    full(0)
    ledger.release(ONE)
    assert ledger.pending() == ()
    assert pending(path) == (ONE,)
    ledger.close()


def test_a_ledger_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match="cannot be written"):
        Ledger(tmp_path / "file" / "ledger.jsonl")


def test_many_threads_write_whole_lines(path: Path) -> None:
    ledger = Ledger(path)
    owned = [Owned("local", "process", f"{number}") for number in range(40)]
    threads = [threading.Thread(target=ledger.own, args=(one,)) for one in owned]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert sorted(pending(path), key=lambda one: int(one.id)) == owned


def test_a_line_with_other_things_than_texts_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_text('{"own": {"platform": "local", "kind": "process", "id": "1", "detail": {"a": 1}}}\n')
    assert pending(file) == ()
