"""How a storage account of ours is made."""

from __future__ import annotations

from imagewright.core.clock import Deadline
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.place import Place


def account_body(place: Place, choices: AzureChoices) -> Json:
    """Pure: a StorageV2 account with everything closed that can be."""
    properties: dict[str, object] = {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
        "allowCrossTenantReplication": False,
        "defaultToOAuthAuthentication": True,
    }
    if choices.storage_network:
        rules = [rule.strip() for rule in choices.storage_network.split(",")]
        properties["networkAcls"] = {
            "defaultAction": "Deny",
            "bypass": "AzureServices",
            "ipRules": [{"value": rule, "action": "Allow"} for rule in rules if not rule.startswith("/")],
            "virtualNetworkRules": [{"id": rule, "action": "Allow"} for rule in rules if rule.startswith("/")],
        }
    return place.body(properties, sku={"name": "Standard_LRS"}, kind="StorageV2")


def create_account(arm: Arm, place: Place, name: str, body: Json, deadline: Deadline) -> Json:
    made: Json = arm.do(
        f"creating the storage account {name}",
        deadline,
        lambda c, k: c.storage.storage_accounts.begin_create(place.group, name, body, **k),
    )
    return made
