from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from manual_clock import ManualClock

from imagewright.core.clock import Deadline
from imagewright.core.errors import CancelledError, CustomizationError, PlatformError
from imagewright.core.events import Event, Note
from imagewright.core.ownership import Owned
from imagewright.engine.ledger import Ledger, pending
from imagewright.engine.scope import CANCELLED_SECONDS, DELETE_SECONDS, Scope
from imagewright.entry.signals import cancellable

ONE, TWO, THREE = (Owned("local", "machine", name) for name in ("one", "two", "three"))


class Things:
    """What exists. `when` is called before something is deleted."""

    def __init__(self, when: Callable[[Owned, int], None] = lambda owned, attempt: None) -> None:
        self.deleted: list[Owned] = []
        self.remaining: list[float] = []
        self.attempts: list[Owned] = []
        self._when = when

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        self.attempts.append(owned)
        self.remaining.append(deadline.remaining())
        self._when(owned, self.attempts.count(owned))
        deadline.check()
        self.deleted.append(owned)


class Setting:
    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self.clock = ManualClock()
        self.ledger = Ledger(folder / "ledger.jsonl")

    def scope(self, things: Things) -> Scope:
        return Scope(self.ledger, things.delete, self.events.append, self.clock)

    def pending(self) -> tuple[Owned, ...]:
        return pending(self.ledger.path)

    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note)]


@pytest.fixture
def setting(tmp_path: Path):
    made = Setting(tmp_path)
    yield made
    made.ledger.close()


def own_all(scope: Scope) -> None:
    for owned in (ONE, TWO, THREE):
        scope.own(owned)


def end(scope: Scope, error: Exception | None = None, *, keep_all: bool = False) -> None:
    """A build that owns three things and ends, by `error` if there is one."""
    with scope:
        own_all(scope)
        scope.keep_all = keep_all
        if error is not None:
            raise error


def test_what_is_owned_is_deleted_last_first(setting: Setting) -> None:
    things = Things()
    with setting.scope(things) as scope:
        own_all(scope)
        assert setting.pending() == (ONE, TWO, THREE)
    assert things.deleted == [THREE, TWO, ONE]
    assert setting.pending() == ()


def test_what_was_released_is_let_alone(setting: Setting) -> None:
    things = Things()
    with setting.scope(things) as scope:
        own_all(scope)
        scope.release(TWO)
    assert things.deleted == [THREE, ONE]


def test_it_is_deleted_on_every_path_out_and_the_error_goes_on(setting: Setting) -> None:
    things = Things()
    with pytest.raises(CustomizationError, match="step 2"):
        end(setting.scope(things), CustomizationError("step 2 failed"))
    assert things.deleted == [THREE, TWO, ONE]
    assert things.remaining == [DELETE_SECONDS] * 3


@pytest.mark.parametrize("reason", [PlatformError("it is locked"), OSError("it is locked")])
def test_what_could_not_be_deleted_is_said_and_the_rest_goes_on(setting: Setting, reason: Exception) -> None:
    def locked(owned: Owned, attempt: int) -> None:
        if owned == TWO:
            raise reason

    things = Things(locked)
    with setting.scope(things) as scope:
        own_all(scope)
    assert things.deleted == [THREE, ONE]
    assert scope.left_behind == [TWO]
    assert setting.pending() == (TWO,)
    assert setting.notes() == ["could not delete machine two: it is locked"]


def test_it_never_hides_the_error_that_ended_the_build(setting: Setting) -> None:
    def locked(owned: Owned, attempt: int) -> None:
        raise PlatformError("it is locked")

    scope = setting.scope(Things(locked))
    with pytest.raises(CustomizationError):
        end(scope, CustomizationError("step 2 failed"))
    assert scope.left_behind == [THREE, TWO, ONE]


def test_what_is_kept_stays_in_the_ledger(setting: Setting) -> None:
    things = Things()
    scope = setting.scope(things)
    with pytest.raises(CustomizationError):
        end(scope, CustomizationError("step 2 failed"), keep_all=True)
    assert things.deleted == []
    assert scope.kept == [ONE, TWO, THREE]
    assert setting.pending() == (ONE, TWO, THREE)


def test_a_cancelled_build_has_seconds_for_its_deletes(setting: Setting) -> None:
    def slow(owned: Owned, attempt: int) -> None:
        setting.clock.wait(3.0)

    things = Things(slow)
    scope = setting.scope(things)
    with pytest.raises(CancelledError):
        end(scope, CancelledError("cancelled by SIGINT"))
    assert things.remaining == [CANCELLED_SECONDS, CANCELLED_SECONDS - 3.0, 0.0]
    assert things.deleted == [THREE]
    assert scope.left_behind == [TWO, ONE]
    assert setting.pending() == (ONE, TWO)


def test_a_cancelled_build_sends_all_its_deletions_before_it_looks_after_one(setting: Setting) -> None:
    begun: list[Owned] = []
    things = Things(lambda owned, attempt: setting.clock.wait(3.0))
    scope = Scope(
        setting.ledger, things.delete, setting.events.append, setting.clock, lambda owned, _: begun.extend(owned)
    )
    with pytest.raises(CancelledError):
        end(scope, CancelledError("cancelled by SIGINT"))
    assert begun == [THREE, TWO, ONE]
    begun.clear()
    with pytest.raises(CustomizationError):
        end(scope, CustomizationError("step 2 failed"))
    assert begun == [], "with time, they go in their order"


def test_a_signal_during_the_clean_up_shortens_it_and_ends_the_build_as_cancelled(setting: Setting) -> None:
    """A real signal while TWO is being deleted: TWO is tried again, ONE still goes, nothing is left behind."""

    def interrupted(owned: Owned, attempt: int) -> None:
        if owned == TWO and attempt == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    things = Things(interrupted)
    scope = setting.scope(things)
    with cancellable(), pytest.raises(CancelledError, match="SIGTERM"):
        end(scope)
    assert things.attempts == [THREE, TWO, TWO, ONE]
    assert things.remaining == [DELETE_SECONDS, DELETE_SECONDS, CANCELLED_SECONDS, CANCELLED_SECONDS]
    assert things.deleted == [THREE, TWO, ONE]
    assert scope.left_behind == []
    assert setting.pending() == ()


def test_a_signal_during_the_clean_up_of_a_failed_build_cancels_it_too(setting: Setting) -> None:
    def interrupted(owned: Owned, attempt: int) -> None:
        if owned == THREE and attempt == 1:
            raise CancelledError("cancelled by SIGINT")

    things = Things(interrupted)
    with pytest.raises(CancelledError) as caught:
        end(setting.scope(things), CustomizationError("step 2 failed"))
    assert isinstance(caught.value.__context__, CustomizationError)
    assert things.deleted == [THREE, TWO, ONE]


def test_what_failed_before_the_signal_is_said_once(setting: Setting) -> None:
    def hard(owned: Owned, attempt: int) -> None:
        if owned == THREE:
            raise PlatformError("it is locked")
        if owned == TWO and attempt == 1:
            raise CancelledError("cancelled by SIGINT")

    things = Things(hard)
    scope = setting.scope(things)
    with pytest.raises(CancelledError):
        end(scope)
    assert things.attempts == [THREE, TWO, TWO, ONE]
    assert scope.left_behind == [THREE]
    assert setting.notes() == ["could not delete machine three: it is locked"]


def test_a_delete_that_is_always_cancelled_is_left_behind(setting: Setting) -> None:
    def always(owned: Owned, attempt: int) -> None:
        raise CancelledError("cancelled")

    things = Things(always)
    scope = setting.scope(things)
    with pytest.raises(CancelledError):
        end(scope)
    assert scope.left_behind == [THREE, TWO, ONE]
    assert setting.pending() == (ONE, TWO, THREE)
