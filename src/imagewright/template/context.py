"""Where a template would be deployed: what `subscription()` and `resourceGroup()` answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArmContext:
    """An empty field is unknown."""

    subscription_id: str = ""
    resource_group: str = ""
    location: str = ""
    tenant_id: str = ""
