"""ARM's functions that answer from where the template would be deployed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imagewright.core.unknown import UNKNOWN_LOCATION, Unknown
from imagewright.template.context import ArmContext
from imagewright.template.values import Value, text, wrong

NO_SUBSCRIPTION = Unknown("the subscription is not known", "give it with --subscription")
NO_GROUP = Unknown("the resource group is not known", "give it with --resource-group")
NO_LOCATION = Unknown("the location of the resource group is not known", "give it with --location", UNKNOWN_LOCATION)


def _subscription(context: ArmContext) -> Value | Unknown:
    identity = context.subscription_id or NO_SUBSCRIPTION
    return {
        "id": identity if isinstance(identity, Unknown) else f"/subscriptions/{identity}",
        "subscriptionId": identity,
        "tenantId": context.tenant_id or Unknown("the tenant is not known"),
        "displayName": Unknown("the name of the subscription is not known"),
    }


def _group_id(context: ArmContext) -> str | Unknown:
    if not context.subscription_id:
        return NO_SUBSCRIPTION
    if not context.resource_group:
        return NO_GROUP
    return f"/subscriptions/{context.subscription_id}/resourceGroups/{context.resource_group}"


def _resource_group(context: ArmContext) -> Value | Unknown:
    return {
        "id": _group_id(context),
        "name": context.resource_group or NO_GROUP,
        "type": "Microsoft.Resources/resourceGroups",
        "location": context.location or NO_LOCATION,
        "tags": Unknown("the tags of the resource group are not known"),
        "managedBy": Unknown("who manages the resource group is not known"),
        "properties": {"provisioningState": "Succeeded"},
    }


_CLOUDS = {
    "azurecloud": (
        "AzureCloud", "management.azure.com", "login.microsoftonline.com", "portal.azure.com",
        "core.windows.net", ".vault.azure.net", ".database.windows.net", ".azurecr.io",
    ),
    "azureusgovernment": (
        "AzureUSGovernment", "management.usgovcloudapi.net", "login.microsoftonline.us", "portal.azure.us",
        "core.usgovcloudapi.net", ".vault.usgovcloudapi.net", ".database.usgovcloudapi.net", ".azurecr.us",
    ),
    "azurechinacloud": (
        "AzureChinaCloud", "management.chinacloudapi.cn", "login.chinacloudapi.cn", "portal.azure.cn",
        "core.chinacloudapi.cn", ".vault.azure.cn", ".database.chinacloudapi.cn", ".azurecr.cn",
    ),
}  # fmt: skip


def _environment(context: ArmContext) -> Value | Unknown:
    facts = _CLOUDS.get((context.cloud or "AzureCloud").lower())
    if facts is None:
        return Unknown(f"the endpoints of the cloud {context.cloud} are not known")
    name, manager, login, portal, storage, vault, sql, registry = facts
    unknown = Unknown("not every endpoint of a cloud is known")
    suffixes = {"storage": storage, "keyvaultDns": vault, "sqlServerHostname": sql, "acrLoginServer": registry}
    suffixes_unknown = ("azureDatalakeAnalyticsCatalogAndJob", "azureDatalakeStoreFileSystem")
    endpoints = ("gallery", "graph", "graphAudience", "batch", "media", "sqlManagement", "vmImageAliasDoc")
    return {
        "name": name,
        "resourceManager": f"https://{manager}/",
        "portal": f"https://{portal}",
        "authentication": {
            "loginEndpoint": f"https://{login}/",
            "audiences": unknown,
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": suffixes | dict.fromkeys((*suffixes_unknown, "azureFrontDoorEndpointSuffix"), unknown),
        **dict.fromkeys((*endpoints, "activeDirectoryDataLake"), unknown),
    }


def _deployer(_: ArmContext) -> Value | Unknown:
    unknown = Unknown("who deploys is not known")
    return {"objectId": unknown, "tenantId": unknown, "userPrincipalName": unknown}


def _tail(resource_type: str, names: tuple[Value, ...]) -> str:
    namespace, *kinds = resource_type.split("/")
    if not kinds or len(kinds) != len(names):
        raise wrong(f"'{resource_type}' has {len(kinds)} parts to be named, {len(names)} names are given")
    return f"/providers/{namespace}" + "".join(
        f"/{kind}/{text(name)}" for kind, name in zip(kinds, names, strict=True)
    )


def _leading(arguments: tuple[Value, ...]) -> int:
    """How many arguments stand before the resource type, the first that holds a slash."""
    return next((index for index, one in enumerate(arguments) if isinstance(one, str) and "/" in one), 0)


def _resource_id(context: ArmContext, first: Value, second: Value, *more: Value) -> Value | Unknown:
    arguments = (first, second, *more)
    lead = _leading(arguments)
    if lead > 2:
        raise wrong(
            "the type of the resource is missing", "for example resourceId('Microsoft.Compute/images', 'name')"
        )
    group = text(arguments[lead - 1]) if lead else context.resource_group
    subscription = text(arguments[0]) if lead == 2 else context.subscription_id
    tail = _tail(text(arguments[lead]), arguments[lead + 1 :])
    if not subscription or not group:
        return NO_GROUP if subscription else NO_SUBSCRIPTION
    return f"/subscriptions/{subscription}/resourceGroups/{group}{tail}"


def _subscription_resource_id(context: ArmContext, first: Value, second: Value, *more: Value) -> Value | Unknown:
    arguments = (first, second, *more)
    lead = _leading(arguments)
    subscription = text(arguments[0]) if lead else context.subscription_id
    tail = _tail(text(arguments[lead]), arguments[lead + 1 :])
    return f"/subscriptions/{subscription}{tail}" if subscription else NO_SUBSCRIPTION


def _tenant_resource_id(_: ArmContext, resource_type: Value, *names: Value) -> Value | Unknown:
    return _tail(text(resource_type), names)


def _extension_resource_id(_: ArmContext, base: Value, resource_type: Value, *names: Value) -> Value | Unknown:
    return text(base) + _tail(text(resource_type), names)


SURROUNDINGS: Mapping[str, Callable[..., Value | Unknown]] = {
    "subscription": _subscription,
    "resourceGroup": _resource_group,
    "environment": _environment,
    "deployer": _deployer,
    "resourceId": _resource_id,
    "subscriptionResourceId": _subscription_resource_id,
    "tenantResourceId": _tenant_resource_id,
    "extensionResourceId": _extension_resource_id,
}
