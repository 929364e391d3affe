"""Who is logged in to `az`, by the files that it keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MACHINES = frozenset({"systemAssignedIdentity", "userAssignedIdentity"})
"""What `az` calls a machine's identity in the place of a name."""


@dataclass(frozen=True, slots=True)
class AzLogin:
    """`client_id` and `tenant_id` are a service principal's, else `""`.

    `renews` says whether `az` gets new tokens for as long as one likes: not with the single assertion of azure/login.
    """

    subscription: str
    cloud: str
    client_id: str = ""
    tenant_id: str = ""
    renews: bool = True


def az_login(environment: Mapping[str, str]) -> AzLogin | None:
    """The default account, or None where nobody is logged in."""
    home = Path(environment.get("AZURE_CONFIG_DIR") or Path(environment.get("HOME", "~")).expanduser() / ".azure")
    profile = _read(home / "azureProfile.json")
    found = profile.get("subscriptions") if isinstance(profile, dict) else None
    accounts = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not accounts:
        return None
    account = next((one for one in accounts if one.get("isDefault")), accounts[0])
    subscription, cloud = str(account.get("id", "")), str(account.get("environmentName", ""))
    user = account.get("user")
    name = str(user.get("name", "")) if isinstance(user, dict) and user.get("type") == "servicePrincipal" else ""
    if not name or name in MACHINES:
        return AzLogin(subscription, cloud)
    return AzLogin(subscription, cloud, name, str(account.get("tenantId", "")), _has_a_secret(home, name))


def _has_a_secret(home: Path, client_id: str) -> bool:
    """Whether `az` keeps something for this service principal that does not run out; only names are looked at."""
    entries = _read(home / "service_principal_entries.json")
    return any(
        isinstance(entry, dict)
        and entry.get("client_id") == client_id
        and {"client_secret", "certificate"} & set(entry)
        for entry in (entries if isinstance(entries, list) else [])
    )


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return None
