"""The resources of a deployment, created in order through the same code that answers a client's PUT."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import Any

from armsim.exchange import Call
from armsim.operations import Operation
from armsim.problems import ArmError
from armsim.world import Resource

FAILED = (
    "At least one resource deployment operation failed. Please list deployment operations for details. "
    "Please see https://aka.ms/DeployOperations for usage details."
)


class Run:
    """The creation of a plan's resources: each as soon as what it needs is there."""

    def __init__(self, call: Call, plan: list[dict[str, Any]], deployment: Resource) -> None:
        self._call = call
        self._plan = plan
        self._deployment = deployment
        self._pause = threading.Event()

    def go(self) -> None:
        waiting = list(self._plan)
        running: dict[str, tuple[dict[str, Any], Operation | None]] = {}
        done: set[str] = set()
        while waiting or running:
            for item in [item for item in waiting if item["needs"] <= done]:
                waiting.remove(item)
                running[item["target"].path.lower()] = (item, self._begin(item))
            for path, (item, operation) in list(running.items()):
                if self._ended(operation):
                    del running[path]
                    done.add(path)
                    self._note(item, operation)
            self._pause.wait(0.005)

    def _begin(self, item: dict[str, Any]) -> Operation | None:
        cloud = self._call.cloud
        with cloud.world.lock:
            kind = cloud.kind(item["target"].kind)
            if kind is None:
                raise self._failure(
                    ArmError(404, "InvalidResourceType", f"The resource type '{item['target'].kind}' is unknown.")
                )
            call = replace(
                self._call,
                method="PUT",
                target=item["target"],
                version=item["version"],
                query={},
                kept={},
                doom=None,
                body=copy.deepcopy(item["body"]),
            )
            fault = cloud.faults.strike("arm", "PUT", item["target"].path)
            try:
                if fault is not None and (refusal := fault.refusal()) is not None:
                    raise refusal
                call.doom = fault.fail if fault is not None else None
                kind.put(call)
            except ArmError as cause:
                self._record(item, "Failed", cause)
                raise self._failure(cause) from cause
            return cloud.operations.of(item["target"].path)

    def _ended(self, operation: Operation | None) -> bool:
        if operation is None:
            return True
        operations = self._call.cloud.operations
        with self._call.cloud.world.lock:
            operations.poll(operation)
            return not operation.running

    def _note(self, item: dict[str, Any], operation: Operation | None) -> None:
        error = operation.error if operation is not None else None
        self._record(item, "Failed" if error else "Succeeded", error)
        if error is not None:
            raise self._failure(error)

    def _record(self, item: dict[str, Any], state: str, error: ArmError | None) -> None:
        with self._call.cloud.world.lock:
            self._deployment.state["done"].append({"id": item["target"].path, "state": state, "error": error})

    @staticmethod
    def _failure(cause: ArmError) -> ArmError:
        return ArmError(200, "DeploymentFailed", FAILED, details=[cause.body()])
