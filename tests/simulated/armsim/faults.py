"""What goes wrong, on demand: rules by method, path and occurrence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from armsim import problems
from armsim.problems import ArmError

HTML = b"<html><head><title>503 Service Unavailable</title></head><body>The service is unavailable.</body></html>"


@dataclass
class Fault:
    """One rule. It strikes requests whose method and path match, after `after` of them passed, `times` times.

    Exactly one of: `status` (answered at once, with `body`, `headers`, or with `code`/`message` in
    ARM's envelope), `error` (an ArmError of armsim.problems, answered), `drop` (connection cut: `"before"` the
    request is looked at, or `"after"` it has been carried out), `fail` (the request is taken, its operation ends
    Failed with this error), `then` (the request is answered normally and this is called before the answer leaves:
    for a spot VM that goes away, a revoked role). `where` is `"arm"`, `"blob"` or `"login"`.
    """

    path: str = ".*"
    method: str = ".*"
    times: int | None = 1
    after: int = 0
    status: int | None = None
    code: str = ""
    message: str = ""
    body: bytes | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    error: ArmError | None = None
    drop: str = ""
    fail: ArmError | None = None
    then: Callable[[], None] | None = None
    where: str = "arm"
    seen: int = 0
    struck: int = 0

    def matches(self, where: str, method: str, path: str) -> bool:
        return (
            self.where == where
            and re.fullmatch(self.method, method, re.IGNORECASE) is not None
            and re.fullmatch(self.path, path, re.IGNORECASE) is not None
        )

    def refusal(self) -> ArmError | None:
        """The answer this rule gives in place of the real one, if it gives one."""
        if self.error is not None:
            return self.error
        if self.status is None:
            return None
        raw = self.body
        if raw is None and not self.code:
            raw = b""
        return ArmError(self.status, self.code, self.message, headers=dict(self.headers), raw=raw)


class Faults:
    """The rules of one simulator, asked in the order they were added."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._rules.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def strike(self, where: str, method: str, path: str) -> Fault | None:
        """The rule that strikes this request, counted."""
        with self._lock:
            for fault in self._rules:
                if not fault.matches(where, method, path):
                    continue
                fault.seen += 1
                if fault.seen > fault.after and (fault.times is None or fault.struck < fault.times):
                    fault.struck += 1
                    return fault
        return None


def throttled(
    path: str = ".*", method: str = ".*", *, seconds: int = 1, times: int | None = 1, bucket: str = "PutVM"
) -> Fault:
    """429 of the Compute provider."""
    return Fault(path, method, times, error=problems.throttled(bucket, seconds))


def conflict(path: str = ".*", method: str = ".*", times: int | None = 1) -> Fault:
    return Fault(path, method, times, error=problems.conflict())


def server_error(path: str = ".*", method: str = ".*", times: int | None = 1) -> Fault:
    return Fault(path, method, times, error=ArmError(500, "InternalServerError", "An internal error occurred."))


def unavailable(path: str = ".*", method: str = ".*", times: int | None = 1, *, html: bool = False) -> Fault:
    """503 with an empty or an HTML body, as gateways answer."""
    headers = {"Content-Type": "text/html"} if html else {}
    return Fault(path, method, times, status=503, body=HTML if html else b"", headers=headers)


def dropped(path: str = ".*", method: str = ".*", times: int | None = 1, *, when: str = "before") -> Fault:
    return Fault(path, method, times, drop=when)


def failing(path: str, error: ArmError, method: str = "PUT", times: int | None = 1) -> Fault:
    """The operation that the request begins ends Failed."""
    return Fault(path, method, times, fail=error)


def policy_denied(path: str, policy: str, method: str = "PUT", times: int | None = None) -> Fault:
    return Fault(path, method, times, error=problems.policy_denied(path, policy))
