"""What must not outlive the build: a record for each thing that is created, written before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Owned:
    """Something of ours that somebody must delete.

    `platform` and `kind` say who can delete it and how (`local`/`process`, `azure`/`resource-group`); `id` names it
    (a path, an ARM id); `detail` is what the deletion needs besides (a process's start time, a subscription).
    """

    platform: str
    kind: str
    id: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Owner(Protocol):
    """A scope that owns things: `engine.scope.Scope` is the one there is."""

    def own(self, owned: Owned) -> Owned:
        """Write `owned` down, durably, before it is created."""
        ...

    def release(self, owned: Owned) -> None:
        """`owned` was deleted, or is meant to stay."""
        ...
