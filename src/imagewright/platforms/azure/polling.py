"""How long operations are waited for: as Azure asks (Retry-After), otherwise quick at first and slower later.

A wait ends with the build: a deadline that passes, or a cancelled build, raises in the middle of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from azure.core.pipeline.policies import RetryPolicy
from azure.mgmt.core.polling.arm_polling import ARMPolling

from imagewright.core.clock import Deadline
from imagewright.core.errors import BuildTimeoutError

Pauses = Callable[[], Iterator[float]]

CONFLICT = 409

ALL_METHODS = frozenset({"HEAD", "GET", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"})
"""Every request that we send may be sent again: each PUT and POST of ours says how things shall be."""


def quick_then_slow(
    first: float = 0.2, factor: float = 1.35, soon: float = 1.5, late: float = 15.0
) -> Iterator[float]:
    """Seconds between looks: growing to `soon`; after half a minute of waiting growing on to `late`."""
    seconds, waited = first, 0.0
    while True:
        yield seconds
        waited += seconds
        seconds = min(late if waited > 30 else soon, seconds * factor)


def wait_as_asked(seconds: float, deadline: Deadline) -> None:
    """Wait `seconds` that a server asked for; says at once when the build cannot wait so long."""
    deadline.check()
    if seconds > deadline.remaining():
        longer = f"; or {deadline.hint}" if deadline.error is BuildTimeoutError and deadline.hint else ""
        raise deadline.error(
            f"Azure asks to wait {seconds:.0f} s, and {deadline.what} has {deadline.remaining():.0f} s left",
            hint=f"the subscription is throttled: build later, or fewer at once{longer}",
        )
    deadline.wait(seconds)


class PatientRetry(RetryPolicy[Any, Any]):
    """azure-core's retries, waiting by our clock and never past the `deadline` that each call brings."""

    def __init__(self) -> None:
        super().__init__(retry_total=10, retry_connect=5, retry_read=5, retry_status=8, retry_backoff_factor=0.4)
        self._method_whitelist = ALL_METHODS

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        deadline = options.pop("deadline", None)
        settings = super().configure_retries(options)
        settings["deadline"] = deadline
        return settings

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """A look that meets a conflict is taken again. (Of a group's deletion, 409 is the answer itself.)"""
        request = response.http_request
        conflict = response.http_response.status_code == CONFLICT and request.method == "GET"
        if conflict and "/operationresults/" not in request.url.lower():
            return bool(settings["total"] > 0)
        return bool(super().is_retry(settings, response))

    def sleep(self, settings: dict[str, Any], transport: Any, response: Any = None) -> None:
        deadline: Deadline | None = settings["deadline"]
        if deadline is None:
            super().sleep(settings, transport, response)
            return
        asked = self.get_retry_after(response) if response else None
        wait_as_asked(asked or min(self.get_backoff_time(settings), 15.0), deadline)


class Polling(ARMPolling):
    """Polls one long-running operation within `deadline`. Without `result` nobody asks what it made: a call less."""

    def __init__(self, deadline: Deadline, pauses: Pauses, endpoint: str, *, result: bool, late: int = 0) -> None:
        """`late`: how many looks are left out at first, where an operation is known to last."""
        super().__init__(path_format_arguments={"endpoint": endpoint}, deadline=deadline)
        self._deadline = deadline
        self._pauses = pauses()
        self._result = result
        self._late = late

    def initialize(self, client: Any, initial_response: Any, deserialization_callback: Any) -> None:
        super().initialize(client, initial_response, deserialization_callback)
        if not self._result:
            setattr(self._operation, "get_final_get_url", lambda _: None)  # noqa: B010 - mypy allows no assignment

    def resource(self) -> Any:
        return super().resource() if self._result else None

    def _poll(self) -> None:
        """The first look is not taken before Azure asked for it."""
        if not self.finished():
            self._delay()
        super()._poll()

    def _delay(self) -> None:
        own = self._timeout = sum(islice(self._pauses, 1 + self._late))
        self._late = 0
        seconds = self._extract_delay()
        if seconds == own:
            self._deadline.wait(seconds)
        else:
            wait_as_asked(seconds, self._deadline)
