"""Resource groups, and listings of what is in them."""

from __future__ import annotations

import re
from typing import Any

import azure.mgmt.resource.resources.models as models

from armsim import problems, schema
from armsim.exchange import Answer, Call
from armsim.kinds import merged
from armsim.operations import GROUP, Operation
from armsim.problems import ArmError
from armsim.world import GROUP_KIND, LOCATIONS, Resource, location_name

_NAME = re.compile(r"[-\w._()]{1,90}")
RETRY_AFTER = 15


def handle(call: Call) -> Answer | None:
    """Requests on groups and their listings; None for anything else."""
    target = call.target
    if target.namespace:
        return None
    low = [part.lower() for part in target.path.strip("/").split("/")]
    if low[2:] == ["resourcegroups"] and call.method == "GET":
        return Answer(200, {"value": [group.shown() for group in _filtered(call, call.cloud.world.all(GROUP_KIND))]})
    if len(low) == 4 and low[2] == "resourcegroups":
        handler = {"PUT": _put, "PATCH": _patch, "GET": _get, "HEAD": _head, "DELETE": _delete}.get(call.method)
        return handler(call) if handler else None
    if low[-1] == "resources" and call.method == "GET":
        return _resources(call)
    return None


def _existing(call: Call) -> Resource:
    group = call.cloud.world.group(call.target.subscription, call.target.group)
    if group is None:
        raise problems.group_not_found(call.target.group)
    return group


def _put(call: Call) -> Answer:
    world = call.cloud.world
    schema.check(models.ResourceGroup, call.body)
    name = call.target.group
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ArmError(
            400,
            "InvalidResourceGroup",
            f"The provided resource group name '{name}' has these invalid characters or length.",
        )
    place = location_name(call.body["location"])
    if place not in LOCATIONS:
        raise ArmError(
            400, "LocationNotAvailableForResourceGroup",
            f"The provided location '{call.body['location']}' is not available for "
"resource group.", headers=problems.GATEWAY,
        )  # fmt: skip
    old = world.group(call.target.subscription, name)
    if old is not None and old.properties.get("provisioningState") == "Deleting":
        raise ArmError(
            409, "ResourceGroupBeingDeleted",
            f"The resource group '{name}' is in deprovisioning state and cannot perform this operation.",
            headers=problems.GATEWAY,
        )  # fmt: skip
    if old is not None and old.location != place:
        raise ArmError(
            409, "InvalidResourceGroupLocation",
            f"Invalid resource group location '{place}'. The Resource group already "
f"exists in location '{old.location}'.",
            headers=problems.GATEWAY,
        )  # fmt: skip
    body: dict[str, Any] = {"location": place, "properties": {"provisioningState": "Succeeded"}}
    body |= {key: call.body[key] for key in ("tags", "managedBy") if call.body.get(key) is not None}
    path = f"/subscriptions/{call.target.subscription}/resourceGroups/{old.name if old else name}"
    group = world.add(Resource(path, GROUP_KIND, old.name if old else name, body))
    return Answer(200 if old else 201, group.shown())


def _patch(call: Call) -> Answer:
    group = _existing(call)
    schema.check(models.ResourceGroupPatchable, call.body, partial=True)
    group.body = merged(group.body, {key: call.body[key] for key in ("tags",) if key in call.body})
    return Answer(200, group.shown())


def _get(call: Call) -> Answer:
    return Answer(200, _existing(call).shown())


def _head(call: Call) -> Answer:
    found = call.cloud.world.group(call.target.subscription, call.target.group)
    return Answer(204 if found is not None else 404)


def _delete(call: Call) -> Answer:
    cloud = call.cloud
    group = _existing(call)
    running = cloud.operations.of(group.id)
    if running is None:
        running = _begin(call, group)
    _, location = running.urls(call.base, call.version)
    return Answer(202, None, {"Location": location} | call.wait(RETRY_AFTER))


def _begin(call: Call, group: Resource) -> Operation:
    """Everything in the group goes with it; operations that run in it come to nothing."""
    cloud = call.cloud
    group.properties["provisioningState"] = "Deleting"
    inside = cloud.world.inside(group.id)
    blocked = _used_from_outside(call, group) or _accessed(call, group)
    for other in cloud.operations.running():
        if other.resource_id.lower().startswith(group.id.lower() + "/"):
            cloud.operations.cancel(other)
    works = []
    for item in inside if blocked is None else []:
        kind = cloud.kind(item.kind)
        if kind is not None and (work := kind.demolish(cloud, item)) is not None:
            works.append(work)

    def demolish() -> None:
        for work in works:
            work()

    def finish() -> None:
        cloud.world.remove(group.id)
        for item in inside:
            if (kind := cloud.kind(item.kind)) is not None:
                kind.deleted(cloud, item)

    def failed(_: ArmError) -> None:
        group.properties["provisioningState"] = "Succeeded"

    operation = Operation(
        GROUP, call.target.subscription, group.location, group.id, "delete",
        cloud.operations.deadline(GROUP_KIND, "delete"), finish, failed, doom=call.doom or blocked,
        retry_first=RETRY_AFTER, retry_poll=RETRY_AFTER,
    )  # fmt: skip
    return cloud.operations.begin(operation, demolish)


def _used_from_outside(call: Call, group: Resource) -> ArmError | None:
    """A NIC or VM elsewhere that uses what is in this group blocks its deletion."""
    start = group.id.lower() + "/"
    for kind in ("Microsoft.Network/networkInterfaces", "Microsoft.Compute/virtualMachines"):
        for item in call.cloud.world.inside(group.id):
            if item.kind != "Microsoft.Compute/galleries/images/versions":
                users = call.cloud.world.users_of(item.id, kind)
                if any(not user.id.lower().startswith(start) for user in users):
                    text = (
                        f"Deletion of resource group '{group.name}' failed as resources with "
                        f"identifiers '{item.id}' could not be deleted."
                    )
                    return ArmError(409, "ResourceGroupDeletionBlocked", text)
    return None


def _accessed(call: Call, group: Resource) -> ArmError | None:
    """A disk that a signature still gives access to keeps its group, until the access is given up."""
    for item in call.cloud.world.inside(group.id):
        if item.properties.get("diskState") in {"ActiveSAS", "ActiveUpload"}:
            text = (
                f"Deletion of resource group '{group.name}' failed as resources with identifiers '{item.id}' could "
                f"not be deleted. There is an active shared access signature outstanding for disk {item.name}. Call "
                "EndGetAccess to revoke the access."
            )
            return ArmError(409, "ResourceGroupDeletionBlocked", text)
    return None


def _resources(call: Call) -> Answer:
    if call.target.group:
        found = call.cloud.world.inside(_existing(call).id)
    else:
        found = [item for item in call.cloud.world.all() if item.kind != GROUP_KIND]
    top_level = [
        item
        for item in found
        if len(item.id.split("/")) == 9 or "/versions" in item.kind or item.kind.endswith("galleries/images")
    ]
    keys = ["id", "name", "type", "location", "tags", "sku", "kind", "identity", "plan", "zones", "managedBy"]
    if "tagName" in call.query.get("$filter", ""):
        keys.remove("tags")  # as the reference of the API says; not every Azure does it
    shown = []
    for item in _filtered(call, top_level):
        whole = item.shown()
        shown.append({key: whole[key] for key in keys if key in whole})
    return Answer(200, {"value": shown})


def _filtered(call: Call, found: Any) -> list[Resource]:
    """`$filter` with tagName/tagValue, resourceType and location, joined by `and`."""
    wanted = dict(re.findall(r"(\w+)\s+eq\s+'([^']*)'", call.query.get("$filter", "")))
    unknown = set(wanted) - {"tagName", "tagValue", "resourceType", "location", "name", "resourceGroup"}
    if unknown or (call.query.get("$filter") and not wanted):
        raise ArmError(
            400,
            "InvalidFilterInQueryString",
            f"Invalid $filter '{call.query['$filter']}' specified in the query string.",
        )
    result = []
    for item in found:
        tags = {name.lower(): value for name, value in (item.body.get("tags") or {}).items()}
        good = (
            ("tagName" not in wanted or wanted["tagName"].lower() in tags)
            and ("tagValue" not in wanted or tags.get(wanted.get("tagName", "").lower()) == wanted["tagValue"])
            and wanted.get("resourceType", item.kind).lower() == item.kind.lower()
            and location_name(wanted.get("location", item.location)) == item.location
            and wanted.get("name", item.name).lower() == item.name.lower()
        )
        if good:
            result.append(item)
    return result
