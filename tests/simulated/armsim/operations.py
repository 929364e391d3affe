"""Long-running operations: what the first answer carries, what polling answers, when an operation ends."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from armsim.identifiers import guid, now, stamp
from armsim.pace import Pace
from armsim.problems import ArmError


@dataclass(frozen=True, slots=True)
class Style:
    """How one provider's long operations look (facts/azure-control-plane.md, 4.1).

    `put`: status of a creation, `headers`: of its first answer, `creating`/`updating`: the provisioningState in it.
    `path` has `{subscription}`, `{location}` and `{id}`.
    """

    path: str
    put: int = 201
    headers: str = "async"
    creating: str = "Creating"
    updating: str = "Updating"
    times: bool = True
    output: bool = False
    location_path: str = ""
    delete_result: int = 200
    private: bool = False


_LOCATED = "/subscriptions/{subscription}/providers/"
COMPUTE = Style(_LOCATED + "Microsoft.Compute/locations/{location}/operations/{id}", private=True)
DISK = Style(
    _LOCATED + "Microsoft.Compute/locations/{location}/DiskOperations/{id}",
    put=202, headers="both", creating="Updating", output=True, private=True,
)  # fmt: skip
GALLERY = Style(_LOCATED + "Microsoft.Compute/locations/{location}/capsOperations/{id}")
NETWORK = Style(
    _LOCATED + "Microsoft.Network/locations/{location}/operations/{id}",
    creating="Updating",
    times=False,
    location_path=_LOCATED + "Microsoft.Network/locations/{location}/operationResults/{id}",
    delete_result=204,
)
STORAGE = Style(_LOCATED + "Microsoft.Storage/locations/{location}/asyncoperations/{id}", put=202, headers="location")
GROUP = Style("/subscriptions/{subscription}/operationresults/{id}", headers="location")
DEPLOYMENT = Style(
    "/subscriptions/{subscription}/resourcegroups/{group}/providers/Microsoft.Resources/deployments/{name}"
    "/operationStatuses/{id}",
    creating="Accepted",
    updating="Accepted",
    times=False,
)


@dataclass
class Operation:
    """One running or finished operation. `finish` changes the world under its lock and returns the output."""

    style: Style
    subscription: str
    location: str
    resource_id: str
    verb: str
    ends: float
    finish: Callable[[], Any]
    failed: Callable[[ArmError], None]
    work: Future[None] | None = None
    doom: ArmError | None = None
    retry_first: float = 0
    retry_poll: float = 0
    shape: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=guid)
    tenant: str = field(default_factory=guid)
    started: datetime = field(default_factory=now)
    ended: datetime | None = None
    status: str = "InProgress"
    error: ArmError | None = None
    output: Any = None
    polls: int = 0

    @property
    def running(self) -> bool:
        return self.status in {"InProgress", "Accepted", "Running"}

    def path(self) -> str:
        return self.style.path.format(
            subscription=self.subscription, location=self.location, id=self.id, **self.shape
        )

    def urls(self, base: str, version: str) -> tuple[str, str]:
        """(Azure-AsyncOperation, Location)."""
        private = f"p={self.tenant}&" if self.style.private else ""
        status = f"{base}{self.path()}?{private}api-version={version}"
        if self.style.location_path:
            result = self.style.location_path.format(
                subscription=self.subscription, location=self.location, id=self.id
            )
            return status, f"{base}{result}?api-version={version}"
        if self.style is GROUP:
            return status, status
        return status, f"{base}{self.path()}?{private}monitor=true&api-version={version}"

    def body(self) -> dict[str, Any]:
        """What a poll of Azure-AsyncOperation answers."""
        if not self.style.times:
            body: dict[str, Any] = {"status": self.status}
        else:
            body = {"startTime": stamp(self.started), "status": self.status, "name": self.id}
            if self.ended:
                body["endTime"] = stamp(self.ended)
        if self.status == "Succeeded" and self.output is not None:
            body["properties"] = {"output": self.output}
        if self.error is not None:
            body["error"] = self.error.body()
        return body


class Operations:
    """All operations of one simulator. Not thread-safe by itself: the world's lock guards it."""

    def __init__(self, pace: Pace, lock: threading.RLock) -> None:
        self.pace = pace
        self._lock = lock
        self._all: dict[str, Operation] = {}
        self._running: list[Operation] = []
        self.mistakes: list[str] = []
        self._pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="armsim-work")

    def begin(
        self,
        operation: Operation,
        work: Callable[[], None] | None = None,
    ) -> Operation:
        """Take an operation up and start its real work, unless it is doomed to fail."""
        if work is not None and operation.doom is None:
            operation.work = self._pool.submit(work)
        self._all[operation.id.lower()] = operation
        self._running.append(operation)
        return operation

    def deadline(self, kind: str, verb: str) -> float:
        return time.monotonic() + self.pace.duration(kind, verb)

    def after(self, seconds: float) -> float:
        """The deadline of something that lasts `seconds` of simulated time."""
        return time.monotonic() + seconds / self.pace.speed

    def find(self, identifier: str) -> Operation | None:
        return self._all.get(identifier.lower())

    def of(self, resource_id: str) -> Operation | None:
        """The operation that runs on a resource, if one does."""
        wanted = resource_id.lower()
        return next((item for item in self._running if item.resource_id.lower() == wanted), None)

    def running(self) -> list[Operation]:
        return list(self._running)

    def poll(self, operation: Operation) -> None:
        """Somebody asked how it goes."""
        operation.polls += 1
        self.settle()

    def settle(self, *, force: bool = False) -> None:
        """End what is due. Ending one may make another due (a group waits for what is in it)."""
        for operation in list(self._running):
            if operation.running and self._due(operation, force):
                self._end(operation)
        self._running = [item for item in self._running if item.running]

    def _due(self, operation: Operation, force: bool) -> bool:
        if operation.work is not None and not operation.work.done():
            return False
        if force:
            return True
        if self.pace.polls is not None:
            return operation.polls > self.pace.polls
        return time.monotonic() >= operation.ends

    def _end(self, operation: Operation) -> None:
        error = operation.doom
        if error is None and operation.work is not None and (cause := operation.work.exception()) is not None:
            if isinstance(cause, ArmError):
                error = cause
            else:
                self.mistakes.append("".join(traceback.format_exception(cause)))
                error = ArmError(200, "InternalExecutionError", f"An internal execution error occurred: {cause!r}.")
        operation.ended = now()
        if error is None:
            try:
                operation.output = operation.finish()
                operation.status = "Succeeded"
            except ArmError as refusal:
                error = refusal
            except Exception as mistake:  # noqa: BLE001
                self.mistakes.append(traceback.format_exc())
                error = ArmError(200, "InternalExecutionError", f"The simulator failed: {mistake!r}.")
        if error is not None:
            operation.error = error
            operation.status = "Failed"
            operation.failed(error)

    def cancel(self, operation: Operation) -> None:
        """A later request preempted it."""
        operation.status = "Failed"
        operation.ended = now()
        operation.error = ArmError(
            409, "OperationPreempted", "This operation has been preempted by a more recent operation."
        )
        self._running = [item for item in self._running if item is not operation]

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
