"""Where and when a template would be deployed: what `subscription()`, `resourceGroup()` and `utcNow()` answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ArmContext:
    """An empty field is unknown; an empty `cloud` is the public one.

    `now` is in UTC; without it, the time is when the template is read.
    """

    subscription_id: str = ""
    resource_group: str = ""
    location: str = ""
    tenant_id: str = ""
    now: datetime | None = None
    cloud: str = ""
