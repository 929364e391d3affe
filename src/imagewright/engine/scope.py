"""Ownership for the time of one build: what is created in a scope is deleted when the scope ends, last first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import CancelledError, ImagewrightError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.ownership import Owned
from imagewright.engine.ledger import Ledger

DELETE_SECONDS = 20 * 60.0
CANCELLED_SECONDS = 4.0
"""A runner kills ten seconds after its first signal: a cancelled build sends its deletes and leaves the waiting to
`imagewright cleanup`."""

Delete = Callable[[Owned, Deadline], None]
Begin = Callable[[Sequence[Owned], Deadline], None]
"""Sends deletions that `Delete` waits for later, as core.ports.Begins."""


class Scope:
    """Owns things, and deletes them in reverse order at its end, on every path out.

    What could not be deleted stays in the ledger and is listed in `left_behind`; it never hides the error that ended
    the build. What was meant to stay (`keep`) stays in the ledger and is listed in `kept`.
    """

    def __init__(self, ledger: Ledger, delete: Delete, emit: Emit, clock: Clock, begin: Begin | None = None) -> None:
        self._ledger = ledger
        self._delete = delete
        self._begin = begin
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._owned: list[Owned] = []
        self.left_behind: list[Owned] = []
        self.kept: list[Owned] = []
        self.keep_all = False

    def own(self, owned: Owned) -> Owned:
        with self._lock:
            self._ledger.own(owned)
            self._owned.append(owned)
        return owned

    def release(self, owned: Owned) -> None:
        with self._lock:
            self._ledger.release(owned)
            if owned in self._owned:
                self._owned.remove(owned)

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.keep_all:
            self.kept.extend(self._owned)
            return
        try:
            self._delete_all(CANCELLED_SECONDS if isinstance(error, CancelledError) else DELETE_SECONDS)
        except CancelledError:
            self._delete_all(CANCELLED_SECONDS)
            raise

    def _delete_all(self, seconds: float) -> None:
        """Delete what is owned, last first, within `seconds`; with few of them, what can be sent is sent at once.

        A first signal meanwhile is raised. Call again then, with less time: what was being deleted is deleted once
        more, and what is gone already is no error.
        """
        deadline = Deadline.after(self._clock, seconds, "the clean-up", "run `imagewright cleanup` to finish it")
        doomed = [owned for owned in reversed(self._owned) if owned not in self.left_behind]
        if self._begin is not None and seconds <= CANCELLED_SECONDS:
            self._begin(doomed, deadline)
        for owned in doomed:
            try:
                self._delete(owned, deadline)
            except (ImagewrightError, OSError) as reason:
                if isinstance(reason, CancelledError) and seconds > CANCELLED_SECONDS:
                    raise
                self.left_behind.append(owned)
                hint = getattr(reason, "hint", "") or "run `imagewright cleanup` to finish it"
                self._emit(Note(f"could not delete {owned}: {reason}", Level.WARNING, hint))
            else:
                self.release(owned)
