"""ARM's functions that answer from where the template would be deployed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imagewright.core.unknown import Unknown
from imagewright.template.context import ArmContext
from imagewright.template.values import Value, text, wrong


def _maybe(value: str, what: str) -> str | Unknown:
    return value or Unknown(f"{what} is not known")


def _subscription(context: ArmContext) -> Value | Unknown:
    identity = _maybe(context.subscription_id, "the subscription")
    return {
        "id": identity if isinstance(identity, Unknown) else f"/subscriptions/{identity}",
        "subscriptionId": identity,
        "tenantId": _maybe(context.tenant_id, "the tenant"),
        "displayName": Unknown("the name of the subscription is not known"),
    }


def _group_id(context: ArmContext) -> str | Unknown:
    if not context.subscription_id:
        return Unknown("the subscription is not known")
    if not context.resource_group:
        return Unknown("the resource group is not known")
    return f"/subscriptions/{context.subscription_id}/resourceGroups/{context.resource_group}"


def _resource_group(context: ArmContext) -> Value | Unknown:
    return {
        "id": _group_id(context),
        "name": _maybe(context.resource_group, "the resource group"),
        "type": "Microsoft.Resources/resourceGroups",
        "location": _maybe(context.location, "the location of the resource group"),
        "tags": Unknown("the tags of the resource group are not known"),
        "properties": {"provisioningState": "Succeeded"},
    }


def _environment(_: ArmContext) -> Value | Unknown:
    return {
        "name": "AzureCloud",
        "resourceManager": "https://management.azure.com/",
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/", "tenant": "common"},
        "suffixes": {
            "storage": "core.windows.net",
            "keyvaultDns": ".vault.azure.net",
            "sqlServerHostname": ".database.windows.net",
            "acrLoginServer": ".azurecr.io",
        },
    }


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
        return Unknown("the subscription is not known" if not subscription else "the resource group is not known")
    return f"/subscriptions/{subscription}/resourceGroups/{group}{tail}"


def _subscription_resource_id(context: ArmContext, first: Value, second: Value, *more: Value) -> Value | Unknown:
    arguments = (first, second, *more)
    lead = _leading(arguments)
    subscription = text(arguments[0]) if lead else context.subscription_id
    tail = _tail(text(arguments[lead]), arguments[lead + 1 :])
    return f"/subscriptions/{subscription}{tail}" if subscription else Unknown("the subscription is not known")


def _tenant_resource_id(_: ArmContext, resource_type: Value, *names: Value) -> Value | Unknown:
    return _tail(text(resource_type), names)


def _extension_resource_id(_: ArmContext, base: Value, resource_type: Value, *names: Value) -> Value | Unknown:
    return text(base) + _tail(text(resource_type), names)


SURROUNDINGS: Mapping[str, Callable[..., Value | Unknown]] = {
    "subscription": _subscription,
    "resourceGroup": _resource_group,
    "environment": _environment,
    "resourceId": _resource_id,
    "subscriptionResourceId": _subscription_resource_id,
    "tenantResourceId": _tenant_resource_id,
    "extensionResourceId": _extension_resource_id,
}
