"""One request and its answer, as the handlers see them and as the log keeps them."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armsim.targets import Target
from armsim.tokens import Principal

if TYPE_CHECKING:
    from armsim.cloud import Cloud
    from armsim.problems import ArmError

_SECRET = {"adminpassword", "protectedsettings", "protectedparameters", "runaspassword", "accesssas", "blobsasuri"}


@dataclass
class Call:
    """An ARM request that may be carried out: authenticated, of a known api-version, its body parsed."""

    cloud: Cloud
    method: str
    target: Target
    version: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    caller: Principal
    base: str
    doom: ArmError | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    """What `prepare` found and `work` needs."""

    @property
    def reads_milliseconds(self) -> bool:
        return "azsdk-python" in self.headers.get("user-agent", "")

    def wait(self, seconds: float) -> dict[str, str]:
        """Retry-After, in the form this client can read; nothing for 0."""
        if not seconds:
            return {}
        return self.cloud.pace.waiting(seconds, milliseconds=self.reads_milliseconds)


@dataclass
class Answer:
    """Status, JSON (None: empty body, bytes: as they are) and headers."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked and answered. `path` without host and query; bodies are JSON values or None."""

    method: str
    path: str
    query: dict[str, str]
    request: Any
    status: int
    headers: dict[str, str]
    response: Any
    began: float
    ended: float
    agent: str


class Log:
    """All ARM exchanges of a simulator, in order; also appended to `file` in the form of the conformance check."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.exchanges: list[Exchange] = []

    def add(self, exchange: Exchange) -> None:
        with self._lock:
            self.exchanges.append(exchange)
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(conformance_form(exchange)) + "\n")


def conformance_form(exchange: Exchange) -> dict[str, Any]:
    query = "&".join(f"{name}={value}" for name, value in exchange.query.items())
    url = f"https://management.azure.com{exchange.path}" + (f"?{query}" if query else "")
    return {
        "request": {"method": exchange.method, "url": url, "headers": {}, "body": _masked(exchange.request)},
        "response": {"status": exchange.status, "headers": exchange.headers, "body": _masked(exchange.response)},
    }


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "***" if key.lower() in _SECRET and isinstance(inner, str) else _masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return value


def clock() -> float:
    return time.monotonic()
