"""Calls to ARM: every vendor error becomes ours, conflicts are tried again, waiting ends with the build.

What comes back is plain JSON data: no vendor type leaves this file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.platforms.azure import errors
from imagewright.platforms.azure.clients import Clients
from imagewright.platforms.azure.polling import Pauses, quick_then_slow

Json = dict[str, Any]
Call = Callable[[Clients, Json], Any]
"""Makes one SDK call with the keywords it is given, and returns what the SDK returns."""

Result = TypeVar("Result")

AGAIN = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
"""Seconds before each further attempt at something that somebody else is busy with."""


class Arm:
    def __init__(self, clients: Clients, pauses: Pauses = quick_then_slow) -> None:
        self.clients = clients
        self._pauses = pauses
        self.known: dict[str, Json] = {}
        """What was read before and does not change during a build, by id."""

    @property
    def subscription(self) -> str:
        return self.clients.subscription

    def at(self, subscription: str) -> Arm:
        """The same caller in another subscription."""
        if subscription.lower() == self.subscription.lower():
            return self
        return Arm(self.clients.at(subscription), self._pauses)

    def ask(self, doing: str, deadline: Deadline, call: Call) -> Any:
        """One request and its answer. Raises what `errors.translate` says."""
        return _plain(self._attempt(doing, deadline, lambda: call(self.clients, {"deadline": deadline})))

    def find(self, doing: str, deadline: Deadline, call: Call) -> Any:
        """Like `ask`, but None where there is no such thing."""
        try:
            return self.ask(doing, deadline, call)
        except PlatformError as error:
            if errors.is_gone(error):
                return None
            raise

    def all(self, doing: str, deadline: Deadline, call: Call) -> list[Json]:
        """Every item of a listing."""
        found: list[Json] = self._attempt(
            doing, deadline, lambda: [_plain(item) for item in call(self.clients, {"deadline": deadline})]
        )
        return found

    def begin(self, doing: str, deadline: Deadline, call: Call, *, result: bool = True, late: int = 0) -> Operation:
        """Send the request that begins a long operation; somebody has to `wait` for it.

        Without `result` its end is waited for and what it made is not read: `wait` returns None.
        `late` as for Polling.
        """

        def send() -> Any:
            from imagewright.platforms.azure.polling import Polling

            polling = Polling(deadline, self._pauses, self.clients.endpoint, result=result, late=late)
            return call(self.clients, {"polling": polling, "deadline": deadline})

        def again() -> Operation:
            self.clients.renew()
            return Operation(doing, self._attempt(doing, deadline, send))

        return Operation(doing, self._attempt(doing, deadline, send), again)

    def do(self, doing: str, deadline: Deadline, call: Call, *, result: bool = True, late: int = 0) -> Any:
        """Begin a long operation, and wait until it has ended well; `result` and `late` as for `begin`."""
        for seconds in (*AGAIN[-3:], None):
            try:
                return self.begin(doing, deadline, call, result=result, late=late).wait()
            except PlatformError as error:
                if seconds is None or errors.code_in(error) not in errors.CONFLICTS:
                    raise
                deadline.wait(seconds)
        raise AssertionError("unreachable")

    def send(self, doing: str, deadline: Deadline, call: Call) -> None:
        """Send the request that begins a long operation, and never ask how it went."""
        self._attempt(doing, deadline, lambda: call(self.clients, {"polling": False, "deadline": deadline}))

    def get(self, doing: str, deadline: Deadline, path: str, version: str) -> Any:
        """GET of a path for which no SDK is installed."""
        from azure.core.rest import HttpRequest

        def call() -> Any:
            request = HttpRequest("GET", f"{self.clients.endpoint}{path}", params={"api-version": version})
            answer = self.clients.resources.send_request(request, deadline=deadline)
            answer.raise_for_status()
            return answer.json()

        return self._attempt(doing, deadline, call)

    def _attempt(self, doing: str, deadline: Deadline, call: Callable[[], Result]) -> Result:
        from azure.core.exceptions import AzureError

        renewed = False
        for seconds in (*AGAIN, None):
            deadline.check()
            try:
                return call()
            except AzureError as error:
                code = errors.code_of(error)
                if code in errors.STALE and not renewed:
                    renewed = True
                    self.clients.renew()
                    continue
                if seconds is None or code not in errors.CONFLICTS:
                    raise errors.translate(error, doing) from error
            except (ValueError, TypeError, OSError) as error:
                raise errors.translate(error, doing) from error
            deadline.wait(seconds)
        raise AssertionError("unreachable")


class Operation:
    """A long operation that runs. Without a `poller` it was over with its first answer; `again` begins it anew where
    the token went bad before its end."""

    def __init__(self, doing: str, poller: Any, again: Callable[[], Operation] | None = None) -> None:
        self._doing = doing
        self._poller = poller
        self._again = again
        self._over = threading.Event()
        if poller is not None and not poller.done():
            poller.add_done_callback(lambda _: self._over.set())

    def wait(self) -> Any:
        """Its result as JSON data, when it has ended well; otherwise our error."""
        from azure.core.exceptions import AzureError

        try:
            return None if self._poller is None else _plain(self._poller.result())
        except AzureError as error:
            if self._again is not None and errors.code_of(error) in errors.STALE:
                return self._again().wait()
            raise errors.translate(error, self._doing) from error

    def ended(self, seconds: float) -> bool:
        """Whether it has ended, well or not, after at most `seconds`."""
        over = self._poller is None or self._poller.done()
        return bool(over or self._over.wait(seconds) or self._poller.done())


def together(*works: Callable[[], Result]) -> list[Result]:
    """Run `works` at once and return what they return, in their order; the first error is raised when it comes."""
    if len(works) == 1:
        return [works[0]()]
    pool = ThreadPoolExecutor(max_workers=max(1, len(works)), thread_name_prefix="azure")
    try:
        futures: Sequence[Future[Result]] = [pool.submit(work) for work in works]
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _plain(value: Any) -> Any:
    """A model as JSON data; lists item by item."""
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
