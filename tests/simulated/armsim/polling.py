"""Answers to polls of Azure-AsyncOperation and Location."""

from __future__ import annotations

from typing import Any

from armsim import problems
from armsim.cloud import Cloud
from armsim.exchange import Answer, Call
from armsim.operations import DEPLOYMENT, GROUP, STORAGE, Operation
from armsim.targets import Target

_WORDS = (
    "operations",
    "diskoperations",
    "capsoperations",
    "asyncoperations",
    "operationresults",
    "operationstatuses",
)


def _identifier(target: Target) -> str | None:
    parts = target.path.split("/")
    if (
        len(parts) < 4
        or parts[-2].lower() not in _WORDS
        or (parts[-4].lower(), parts[-2]) == ("deployments", "operations")
    ):
        return None
    return parts[-1]


def is_poll(target: Target) -> bool:
    return _identifier(target) is not None


def pending(cloud: Cloud, target: Target) -> bool:
    """Whether real work hides behind what is asked for: the polled operation, or the resource's own."""
    identifier = _identifier(target)
    if identifier is not None:
        found = cloud.operations.find(identifier)
        running = [found] if found is not None else []
    else:
        running = [item for item in cloud.operations.running() if item.resource_id.lower() == target.path.lower()]
    return any(item.running and item.work is not None and not item.work.done() for item in running)


def poll(call: Call) -> Answer | None:
    """The answer, when the request is a poll; None otherwise."""
    identifier = _identifier(call.target)
    if identifier is None or call.method != "GET":
        resource = call.cloud.operations.of(call.target.path)
        if resource is not None and call.method in {"GET", "HEAD"}:
            call.cloud.operations.poll(resource)
        return None
    operation = call.cloud.operations.find(identifier)
    if operation is None:
        raise problems.not_found(f"The operation '{identifier}' could not be found.")
    call.cloud.operations.poll(operation)
    final = "monitor" in call.query or "operationresults" in call.target.path.lower()
    if operation.style in (STORAGE, GROUP) or final:
        return _location(call, operation)
    waiting = call.wait(operation.retry_poll) if operation.running else {}
    body: dict[str, Any] = operation.body()
    if operation.style is DEPLOYMENT and operation.running:
        body["status"] = "Running" if operation.polls > 1 else "Accepted"
    return Answer(200, body, waiting)


def _location(call: Call, operation: Operation) -> Answer:
    if operation.running:
        _, again = operation.urls(call.base, call.version)
        return Answer(202, None, {"Location": again} | call.wait(operation.retry_poll))
    if operation.error is not None:
        if operation.style is GROUP:
            error = operation.error
            return Answer(409, {"Error": {"Code": error.code, "Message": error.message}})
        return Answer(
            409 if operation.error.status == 200 else operation.error.status, {"error": operation.error.body()}
        )
    if operation.style is STORAGE:
        resource = call.cloud.world.get(operation.resource_id)
        kind = call.cloud.kind("microsoft.storage/storageaccounts")
        if resource is None or kind is None:
            return Answer(404, {"error": {"code": "NotFound", "message": "The account is gone."}})
        return Answer(200, kind.show(call.cloud, resource, {}))
    if operation.verb == "delete":
        return Answer(operation.style.delete_result)
    return Answer(200, operation.output)
