"""The subscription itself: locations, providers, permissions, locks, tags, marketplace terms."""

from __future__ import annotations

import copy
from typing import Any

from armsim import problems
from armsim.cloud import PROVIDERS
from armsim.exchange import Answer, Call
from armsim.problems import ArmError
from armsim.world import LOCATIONS, Resource


def handle(call: Call) -> Answer | None:
    target = call.target
    low = [part.lower() for part in target.path.strip("/").split("/")]
    if target.namespace:
        return _extension(call)
    if low[:1] != ["subscriptions"]:
        raise ArmError(404, "InvalidResourceType", "No such path.")
    if len(low) == 1:
        return Answer(200, {"value": [_subscription(call)]})
    if len(low) == 2 and call.method == "GET":
        return Answer(200, _subscription(call))
    if low[2:] == ["locations"]:
        return Answer(200, {"value": [_location(call, name) for name in LOCATIONS]})
    if low[2:] == ["providers"]:
        return Answer(200, {"value": [_provider(call, name) for name in PROVIDERS]})
    return None


def _extension(call: Call) -> Answer | None:
    target = call.target
    kind = target.kind
    if target.types == () or target.types[0].lower() in {"register", "unregister"}:
        return _providers(call)
    if kind == "microsoft.authorization/permissions" and call.method == "GET":
        _existing_scope(call)
        return Answer(200, {"value": call.cloud.roles.permissions()})
    if kind.startswith("microsoft.authorization/locks"):
        return _locks(call)
    if kind == "microsoft.resources/tags":
        return _tags(call)
    if kind.startswith("microsoft.marketplaceordering/"):
        return _terms(call)
    return None


def _subscription(call: Call) -> dict[str, Any]:
    identifier = call.cloud.subscription
    return {
        "id": f"/subscriptions/{identifier}",
        "subscriptionId": identifier,
        "tenantId": call.cloud.tokens.tenant,
        "displayName": "Simulated",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
        "authorizationSource": "RoleBased",
    }


def _location(call: Call, name: str) -> dict[str, Any]:
    shown = LOCATIONS[name]
    return {
        "id": f"/subscriptions/{call.cloud.subscription}/locations/{name}",
        "name": name,
        "type": "Region",
        "displayName": shown,
        "regionalDisplayName": f"(Simulated) {shown}",
        "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
    }


def _provider(call: Call, name: str) -> dict[str, Any]:
    known = {item.lower() for item in call.cloud.registered}
    types = [
        kind.type.split("/", 1)[1]
        for kind in call.cloud.kinds.values()
        if kind.type.lower().startswith(name.lower() + "/")
    ]
    return {
        "id": f"/subscriptions/{call.cloud.subscription}/providers/{name}",
        "namespace": name,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered" if name.lower() in known else "NotRegistered",
        "resourceTypes": [
            {"resourceType": kind, "locations": list(LOCATIONS.values()), "apiVersions": ["2024-07-01"]}
            for kind in types
        ],
    }


def _providers(call: Call) -> Answer:
    name = next((item for item in PROVIDERS if item.lower() == call.target.namespace.lower()), None)
    if name is None:
        raise ArmError(
            404,
            "InvalidResourceNamespace",
            f"The resource namespace '{call.target.namespace}' is invalid.",
            headers=problems.GATEWAY,
        )
    if call.target.types:
        if call.method != "POST":
            raise ArmError(405, "MethodNotAllowed", "Only POST is supported here.")
        if call.target.types[0].lower() == "register":
            call.cloud.registered.add(name)
        else:
            call.cloud.registered.discard(name)
    return Answer(200, _provider(call, name))


def _existing_scope(call: Call) -> None:
    target = call.target
    if target.group and call.cloud.world.group(target.subscription, target.group) is None:
        raise problems.group_not_found(target.group)


def _locks(call: Call) -> Answer:
    cloud, target = call.cloud, call.target
    here = {scope: level for scope, level in cloud.locks.items() if scope.lower().startswith(target.scope.lower())}
    shown = [
        {
            "id": f"{scope}/providers/Microsoft.Authorization/locks/lock",
            "type": "Microsoft.Authorization/locks",
            "name": "lock",
            "properties": {"level": level},
        }
        for scope, level in here.items()
    ]
    if call.method != "GET" or target.names:
        raise ArmError(405, "MethodNotAllowed", "Locks are set by the test.")
    return Answer(200, {"value": shown})


def _tags(call: Call) -> Answer:
    """`…/providers/Microsoft.Resources/tags/default`: GET, PUT (replace), PATCH (Merge, Replace, Delete), DELETE."""
    resource = call.cloud.world.get(call.target.scope)
    if resource is None:
        raise problems.not_found(f"The resource '{call.target.scope}' was not found.")
    old: dict[str, str] = resource.body.get("tags") or {}
    given = ((call.body or {}).get("properties") or {}).get("tags") or {}
    if call.method == "PUT":
        resource.body["tags"] = given
    elif call.method == "PATCH":
        verb = (call.body or {}).get("operation", "")
        changed = {"merge": old | given, "replace": given, "delete": {k: v for k, v in old.items() if k not in given}}
        if verb.lower() not in changed:
            raise problems.invalid_parameter(
                f"The operation '{verb}' is not one of Merge, Replace, Delete.", "operation"
            )
        resource.body["tags"] = changed[verb.lower()]
    elif call.method == "DELETE":
        resource.body["tags"] = {}
        return Answer(200)
    return Answer(200, _tagged(call, resource))


def _tagged(call: Call, resource: Resource) -> dict[str, Any]:
    return {
        "id": f"{resource.id}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": copy.deepcopy(resource.body.get("tags") or {})},
    }


def _terms(call: Call) -> Answer:
    """`…/offerTypes/virtualmachine/publishers/P/offers/O/plans/L/agreements/current`."""
    names = call.target.names
    if [part.lower() for part in call.target.types] != [
        "offertypes",
        "publishers",
        "offers",
        "plans",
        "agreements",
    ] or len(names) != 5:
        raise ArmError(404, "InvalidResourceType", "No such path.")
    _, publisher, offer, plan, _ = names
    key = f"{publisher}:{offer}:{plan}".lower()
    if call.method == "PUT":
        properties = (call.body or {}).get("properties") or {}
        (call.cloud.terms.add if properties.get("accepted") else call.cloud.terms.discard)(key)
    return Answer(
        200,
        {
            "id": call.target.path,
            "name": "current",
            "type": "Microsoft.MarketplaceOrdering/offertypes",
            "properties": {
                "publisher": publisher, "product": offer, "plan": plan, "accepted": key in call.cloud.terms,
                "licenseTextLink": "https://127.0.0.1/license", "privacyPolicyLink": "https://127.0.0.1/privacy",
                "retrieveDatetime": "2026-01-01T00:00:00Z", "signature": "SIMULATED",
            },
        },
    )  # fmt: skip
