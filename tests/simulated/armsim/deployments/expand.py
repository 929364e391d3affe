"""A deployment's template, evaluated: its resources in the order in which they can be made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armsim import problems
from armsim.compute.sizes import admit
from armsim.deployments.expressions import Scope, invalid
from armsim.exchange import Call
from armsim.problems import ArmError
from armsim.targets import parse
from armsim.world import Resource


def expand(call: Call) -> list[dict[str, Any]]:
    """The resources, dependencies first: `{"target", "version", "body", "needs", "namespace"}` each."""
    properties = (call.body or {}).get("properties") or {}
    template = properties.get("template")
    if not isinstance(template, dict):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid: 'template' is missing.")
    scope = Scope(
        call.target.subscription,
        call.cloud.tokens.tenant,
        call.target.group,
        _group(call).location,
        _parameters(template, properties.get("parameters") or {}),
        template.get("variables") or {},
    )
    found = [_resource(call, scope, raw) for raw in template.get("resources") or []]
    return _ordered(found)


def _group(call: Call) -> Resource:
    group = call.cloud.world.group(call.target.subscription, call.target.group)
    if group is None:
        raise problems.group_not_found(call.target.group)
    return group


def _parameters(template: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    declared = template.get("parameters") or {}
    for name in given:
        if name not in declared:
            raise invalid(
                "The following parameters were supplied, but do not correspond to any "
                f"parameters defined in the template: '{name}'"
            )
    values = {}
    for name, declaration in declared.items():
        if name in given:
            values[name] = given[name].get("value")
        elif "defaultValue" in declaration:
            values[name] = declaration["defaultValue"]
        else:
            raise invalid(f"The value for the template parameter '{name}' is not provided")
    return values


def _resource(call: Call, scope: Scope, raw: dict[str, Any]) -> dict[str, Any]:
    evaluated = scope.evaluate(raw)
    for name in ("type", "name", "apiVersion"):
        if not evaluated.get(name):
            raise invalid(f"The template resource has no '{name}'")
    namespace, *types = evaluated["type"].split("/")
    pairs = "/".join(f"{kind}/{name}" for kind, name in zip(types, evaluated["name"].split("/"), strict=True))
    path = f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}/providers/{namespace}/{pairs}"
    body = {
        key: value
        for key, value in evaluated.items()
        if key not in {"type", "name", "apiVersion", "dependsOn", "comments", "condition"}
    }
    needs = [need if need.startswith("/") else _expanded(scope, need) for need in evaluated.get("dependsOn") or []]
    return {
        "target": parse(path),
        "version": evaluated["apiVersion"],
        "body": body,
        "needs": {need.lower() for need in needs},
        "namespace": namespace,
    }


def _expanded(scope: Scope, short: str) -> str:
    """`Microsoft.Network/virtualNetworks/x` of a dependsOn, as a whole id."""
    namespace, kind, name = short.strip("/").split("/", 2)
    return f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}/providers/{namespace}/{kind}/{name}"


def _ordered(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {item["target"].path.lower() for item in found}
    for item in found:
        for need in item["needs"]:
            if need not in known:
                raise invalid(f"The resource '{need}' is not defined in the template")
    ordered: list[dict[str, Any]] = []
    while len(ordered) < len(found):
        done = {item["target"].path.lower() for item in ordered}
        ready = [item for item in found if item not in ordered and item["needs"] <= done]
        if not ready:
            raise invalid("Circular dependency detected")
        ordered += ready
    return ordered


def preflight(call: Call, plan: list[dict[str, Any]]) -> None:
    """What ARM refuses before it begins: quota and images."""
    for item in plan:
        if item["target"].kind != "microsoft.compute/virtualmachines":
            continue
        properties = item["body"].get("properties") or {}
        image = (properties.get("storageProfile") or {}).get("imageReference") or {}
        if image.get("publisher"):
            try:
                call.cloud.catalog.find(
                    image["publisher"], image["offer"], image["sku"], image.get("version") or "latest"
                )
            except ArmError as cause:
                text = (
                    "The following list of images referenced from the deployment template "
                    f"are not found: {cause.message}"
                )
                raise _refused("InvalidParameter", text, "imageReference") from cause
        try:
            admit(
                replace(call, body=item["body"]),
                properties["hardwareProfile"]["vmSize"],
                item["body"].get("zones") or [],
            )
        except ArmError as cause:
            raise _refused(
                "QuotaExceeded" if cause.code == "OperationNotAllowed" else cause.code, cause.message, cause.target
            ) from cause


def _refused(code: str, message: str, target: str | None) -> ArmError:
    detail = {"code": code, "message": message} | ({"target": target} if target else {})
    return ArmError(
        400,
        "InvalidTemplateDeployment",
        "The template deployment failed with error: the preflight validation of "
        "the resources failed. See inner errors for details.",
        details=[detail],
    )
