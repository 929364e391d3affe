"""A call that is made while others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """One call in a thread of its own, which keeps no process alive. `join` returns or raises what the call did."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is over, well or not."""
        self._thread.join()

    def join(self) -> Result:
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 - handed over to the joining thread
            self._error = error
