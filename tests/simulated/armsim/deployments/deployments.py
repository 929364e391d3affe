"""Template deployments: a template is expanded and its resources are created in order, like any client would."""

from __future__ import annotations

from typing import Any, ClassVar

from armsim.cloud import Cloud
from armsim.deployments.expand import expand, preflight
from armsim.deployments.run import Run
from armsim.exchange import Answer, Call
from armsim.identifiers import guid, stamp
from armsim.kinds import Kind, Work
from armsim.operations import DEPLOYMENT, GROUP
from armsim.problems import ArmError
from armsim.targets import parse
from armsim.world import Resource

TYPE = "Microsoft.Resources/deployments"


class Deployments(Kind):
    type: ClassVar[str] = TYPE
    style = DEPLOYMENT

    def put(self, call: Call) -> Answer:
        old = call.cloud.world.get(call.target.path)
        if old is not None:
            self._idle(call.cloud, old)
        plan = expand(call)
        preflight(call, plan)
        given = call.body["properties"]
        properties: dict[str, Any] = {
            "mode": given.get("mode", "Incremental"),
            "provisioningState": "Accepted",
            "timestamp": stamp(),
            "duration": "PT0S",
            "correlationId": guid(),
            "templateHash": str(abs(hash(str(given.get("template"))))),
            "parameters": _shown_parameters(given),
            "dependencies": [],
            "providers": [
                {"namespace": name, "resourceTypes": []} for name in sorted({item["namespace"] for item in plan})
            ],
        }
        deployment = Resource(call.target.path, TYPE, call.target.name, {"properties": properties})
        deployment.state["done"] = []
        call.cloud.world.add(deployment)
        work = Run(call, plan, deployment).go
        operation = self.begin(call, deployment, "create", work)
        operation.shape = {"group": call.target.group, "name": call.target.name}
        return Answer(200 if old else 201, deployment.shown(), self.headers(call, operation, "create"))

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        made = [{"id": item["id"]} for item in resource.state["done"]]
        resource.properties.update(outputs={}, duration="PT1M1.5S", outputResources=made)

    def failed(self, cloud: Cloud, resource: Resource, verb: str, error: ArmError) -> None:
        resource.properties["error"] = error.body()

    def action(self, call: Call, name: str) -> Answer:
        if call.method == "POST" and name.lower() == "validate":
            plan = expand(call)
            preflight(call, plan)
            validated = [{"id": item["target"].path} for item in plan]
            return Answer(
                200,
                {
                    "id": call.target.parent_path,
                    "name": call.target.names[-1],
                    "type": TYPE,
                    "properties": {
                        "mode": "Incremental",
                        "provisioningState": "Succeeded",
                        "timestamp": stamp(),
                        "validatedResources": validated,
                    },
                },
            )
        if call.method == "GET" and name.lower() == "operations":
            deployment = self.existing(call)
            return Answer(200, {"value": [_operation(deployment, item) for item in deployment.state["done"]]})
        raise ArmError(404, "InvalidResourceType", f"No action '{name}' on deployments.")

    def dispose(self, call: Call, resource: Resource) -> Answer:
        """Only the record of a deployment goes; what it made stays."""
        operation = self.begin(call, resource, "delete")
        operation.style = GROUP
        operation.retry_first = operation.retry_poll = 15
        _, location = operation.urls(call.base, call.version)
        return Answer(202, None, {"Location": location} | call.wait(15))

    def demolish(self, cloud: Cloud, resource: Resource) -> Work | None:
        return None


def _shown_parameters(given: dict[str, Any]) -> dict[str, Any]:
    kinds = {name: str(item.get("type", "")) for name, item in (given["template"].get("parameters") or {}).items()}
    return {
        name: {"type": kinds.get(name, "String")} | ({} if "secure" in kinds.get(name, "").lower() else dict(item))
        for name, item in (given.get("parameters") or {}).items()
    }


def _operation(deployment: Resource, item: dict[str, Any]) -> dict[str, Any]:
    target = parse(item["id"])
    name = guid().replace("-", "").upper()[:16]
    error: ArmError | None = item["error"]
    return {
        "id": f"{deployment.id}/operations/{name}",
        "operationId": name,
        "properties": {
            "provisioningOperation": "Create",
            "provisioningState": item["state"],
            "timestamp": stamp(),
            "duration": "PT1S",
            "statusCode": "Conflict" if error else "OK",
            "statusMessage": {"error": error.body()} if error else None,
            "targetResource": {
                "id": item["id"],
                "resourceType": "/".join((target.namespace, *target.types)),
                "resourceName": "/".join(target.names),
            },
        },
    }
