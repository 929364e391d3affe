"""From an admitted request to the handler that answers it."""

from __future__ import annotations

from armsim import groups, problems, subscription
from armsim.compute import catalog, sizes
from armsim.exchange import Answer, Call
from armsim.kinds import Kind
from armsim.problems import ArmError
from armsim.targets import Target


def dispatch(call: Call) -> Answer:
    target = call.target
    for handler in (subscription.handle, groups.handle, catalog.handle, sizes.handle):
        if (answer := handler(call)) is not None:
            return answer
    kind = call.cloud.kind(target.kind)
    if target.is_resource and kind is not None:
        return _resource(call, kind)
    if kind is not None and call.method == "GET":
        return _collection(call, kind)
    owner = call.cloud.kind("/".join((target.namespace, *target.types[:-1])))
    if owner is not None and not target.is_resource and call.method in {"POST", "GET"}:
        _check_group(call)
        return owner.action(call, target.types[-1])
    raise unknown_type(target)


def unknown_type(target: Target) -> ArmError:
    return ArmError(
        404,
        "InvalidResourceType",
        f"The resource type '{'/'.join(target.types)}' could not be found in the namespace '{target.namespace}' for "
        "the api version given.",
        headers=problems.GATEWAY,
    )


def _resource(call: Call, kind: Kind) -> Answer:
    handler = {"PUT": kind.put, "PATCH": kind.patch, "GET": kind.get, "DELETE": kind.delete}.get(call.method)
    if handler is None:
        raise ArmError(
            405,
            "MethodNotAllowed",
            f"The HTTP method '{call.method}' is not supported at scope '{call.target.path}'.",
        )
    _check_group(call)
    if len(call.target.types) > 1 and call.cloud.world.get(kind.parent_path(call.target)) is None:
        if call.method == "DELETE":
            return Answer(204)
        raise problems.parent_not_found("/".join(call.target.names[:-1]))
    return handler(call)


def _check_group(call: Call) -> None:
    target = call.target
    if not target.group:
        return
    group = call.cloud.world.group(target.subscription, target.group)
    if group is None:
        raise problems.group_not_found(target.group)
    if call.method in {"PUT", "PATCH", "POST"} and group.properties.get("provisioningState") == "Deleting":
        raise ArmError(
            409,
            "ResourceGroupBeingDeleted",
            f"The resource group '{group.name}' is in deprovisioning state and cannot perform this operation.",
            headers=problems.GATEWAY,
        )


def _collection(call: Call, kind: Kind) -> Answer:
    target = call.target
    _check_group(call)
    if len(target.types) > 1 and call.cloud.world.get(kind.parent_path(target)) is None:
        raise problems.parent_not_found("/".join(target.names))
    scope = target.parent_path if len(target.types) > 1 else target.scope
    return page(call, kind.list(call, scope))


def page(call: Call, items: list[dict[str, object]]) -> Answer:
    """One page of a listing, with the way to the next."""
    start = int(call.query.get("$skiptoken", "0"))
    size = call.cloud.page_size
    body: dict[str, object] = {"value": items[start : start + size]}
    if start + size < len(items):
        others = "&".join(f"{key}={value}" for key, value in call.query.items() if key != "$skiptoken")
        body["nextLink"] = f"{call.base}{call.target.path}?{others}&$skiptoken={start + size}"
    return Answer(200, body)
