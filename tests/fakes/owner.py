"""What owns things without a ledger."""

from __future__ import annotations

from imagewright.core.ownership import Owned


class Owner:
    """Remembers what must be deleted."""

    def __init__(self) -> None:
        self.owned: list[Owned] = []

    def own(self, owned: Owned) -> Owned:
        self.owned.append(owned)
        return owned

    def release(self, owned: Owned) -> None:
        self.owned.remove(owned)
