"""What every kind of resource does alike: create, read, change, delete, list; a kind fills in its own meaning."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from armsim import problems, schema
from armsim.exchange import Answer, Call
from armsim.identifiers import etag
from armsim.operations import COMPUTE, Operation, Style
from armsim.problems import ArmError
from armsim.targets import Target
from armsim.world import LOCATIONS, Resource, location_name

if TYPE_CHECKING:
    from armsim.cloud import Cloud

Work = Callable[[], None]
Shape = type[Any]
"""A model of the SDK."""


class Kind:
    """A type of resource. Sub-classes say its shape and override what it means."""

    type: ClassVar[str]
    model: ClassVar[Shape]
    style: ClassVar[Style] = COMPUTE
    located: ClassVar[bool] = True
    instant: ClassVar[bool] = False
    patch_model: ClassVar[Shape | None] = None
    retry: ClassVar[dict[str, tuple[float, float]]] = {}
    name_pattern: ClassVar[str] = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,79}"

    # ---- what a kind may override -------------------------------------------------------------------------------

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        """The resource's body from the request's: defaults filled in, references checked (ArmError)."""
        return body

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        """The real part of an operation, run in a thread of its own without the lock."""
        return None

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        """The operation succeeded (under the lock)."""

    def failed(self, cloud: Cloud, resource: Resource, verb: str, error: ArmError) -> None:
        """The operation failed (under the lock)."""

    def deletable(self, cloud: Cloud, resource: Resource) -> None:
        """Raise when something still uses it."""

    def deleted(self, cloud: Cloud, resource: Resource) -> None:
        """It is gone from the world (under the lock)."""

    def demolish(self, cloud: Cloud, resource: Resource) -> Work | None:
        """The real part of a deletion."""
        return None

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        return resource.shown()

    def seconds(self, cloud: Cloud, resource: Resource, verb: str) -> float | None:
        """Simulated seconds of an operation, when not the table's."""
        return None

    def parent_path(self, target: Target) -> str:
        """The resource that must be there for a nested one."""
        return target.parent_path

    # ---- requests -----------------------------------------------------------------------------------------------

    def put(self, call: Call) -> Answer:
        cloud, target = call.cloud, call.target
        old = cloud.world.get(target.path)
        if not isinstance(call.body, dict):
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid: a body is required.")
        if not re.fullmatch(self.name_pattern, target.name):
            raise ArmError(
                400, "InvalidResourceName", f"Resource name {target.name} is invalid. The name can be up to 80 "
                "characters long. It must begin with a word character.", target.name,
            )  # fmt: skip
        schema.check(self.model, call.body)
        if self.located:
            self._check_location(call, old)
        if old is not None:
            self._idle(cloud, old)
        body = self.prepare(call, _written(call.body), old)
        verb = "create" if old is None else "update"
        resource = old or Resource(target.path, self.type, target.name, {})
        resource.body = body
        resource.etag = etag()
        state = self.style.creating if old is None else self.style.updating
        resource.properties["provisioningState"] = "Succeeded" if self.instant else state
        cloud.world.add(resource)
        operation = self.begin(call, resource, verb, self.work(call, resource, verb))
        status = self.style.put if old is None or self.style.put == 202 else 200
        return Answer(status, self.first(cloud, resource), self.headers(call, operation, verb))

    def first(self, cloud: Cloud, resource: Resource) -> dict[str, Any] | None:
        """Body of the first answer to a PUT or PATCH."""
        return self.show(cloud, resource, {})

    def patch(self, call: Call) -> Answer:
        cloud = call.cloud
        resource = self.existing(call)
        self._idle(cloud, resource)
        schema.check(self.patch_model or self.model, call.body, partial=True)
        resource.body = self.prepare(call, merged(resource.body, _written(call.body)), resource)
        resource.properties["provisioningState"] = self.style.updating
        operation = self.begin(call, resource, "update", self.work(call, resource, "update"))
        status = 202 if self.style.put == 202 else 200
        return Answer(status, self.first(cloud, resource), self.headers(call, operation, "update"))

    def get(self, call: Call) -> Answer:
        return Answer(200, self.show(call.cloud, self.existing(call), call.query))

    def delete(self, call: Call) -> Answer:
        cloud = call.cloud
        resource = cloud.world.get(call.target.path)
        if resource is None:
            return self.delete_absent(call)
        running = cloud.operations.of(resource.id)
        if running is not None and running.verb == "delete":
            return Answer(202, None, self.headers(call, running, "delete"))
        self.deletable(cloud, resource)
        if running is not None:
            cloud.operations.cancel(running)
        return self.dispose(call, resource)

    def dispose(self, call: Call, resource: Resource) -> Answer:
        resource.properties["provisioningState"] = "Deleting"
        operation = self.begin(call, resource, "delete", self.demolish(call.cloud, resource))
        return Answer(202, None, self.headers(call, operation, "delete"))

    def delete_absent(self, call: Call) -> Answer:
        return Answer(204)

    def list(self, call: Call, scope: str) -> list[dict[str, Any]]:
        return [self.show(call.cloud, item, {}) for item in call.cloud.world.inside(scope, self.type)]

    def action(self, call: Call, name: str) -> Answer:
        handler = getattr(self, f"do_{name.lower()}", None)
        if handler is None:
            raise ArmError(
                404, "InvalidResourceType", f"The resource type '{name}' could not be found in the namespace."
            )
        answer: Answer = handler(call, self.existing(call))
        return answer

    # ---- operations ---------------------------------------------------------------------------------------------

    def begin(
        self,
        call: Call,
        resource: Resource,
        verb: str,
        work: Work | None = None,
        finish: Callable[[], Any] | None = None,
    ) -> Operation:
        """Start the operation of a request. `finish` returns the output of an action."""
        cloud = call.cloud

        def done() -> Any:
            if verb == "delete":
                cloud.world.remove(resource.id)
                self.deleted(cloud, resource)
                return None
            if finish is not None:
                return finish()
            resource.properties["provisioningState"] = "Succeeded"
            self.finished(cloud, resource, verb)
            return self.show(cloud, resource, {}) if self.style.output else None

        def failed(error: ArmError) -> None:
            if verb in {"create", "update", "delete"}:
                resource.properties["provisioningState"] = "Failed"
            self.failed(cloud, resource, verb, error)

        ends = cloud.operations.deadline(self.type, verb)
        if (seconds := self.seconds(cloud, resource, verb)) is not None:
            ends = cloud.operations.after(seconds)
        first, poll = self.retry.get(verb, (0, 0))
        return cloud.operations.begin(
            Operation(
                self.style, call.target.subscription, self._place(cloud, resource), resource.id, verb, ends, done,
                failed, doom=call.doom, retry_first=first, retry_poll=poll,
            ),
            work,
        )  # fmt: skip

    def headers(self, call: Call, operation: Operation, verb: str) -> dict[str, str]:
        status, location = operation.urls(call.base, call.version)
        kind = self.style.headers if verb in {"create", "update"} else "both"
        found: dict[str, str] = call.wait(operation.retry_first)
        if kind in {"async", "both"}:
            found["Azure-AsyncOperation"] = status
            found["Azure-AsyncNotification"] = "Enabled"
        if kind in {"location", "both"}:
            found["Location"] = location
        return found

    def accepted(
        self, call: Call, resource: Resource, verb: str, work: Work | None, finish: Callable[[], Any]
    ) -> Answer:
        """The answer to a POST that takes time: 202, empty, both headers."""
        self._idle(call.cloud, resource)
        operation = self.begin(call, resource, verb, work, finish)
        return Answer(202, None, self.headers(call, operation, verb))

    def existing(self, call: Call) -> Resource:
        path = call.target.path if call.target.is_resource else call.target.parent_path
        resource = call.cloud.world.get(path)
        if resource is None:
            names = path.split("/providers/")[-1].split("/")[1:]
            raise problems.resource_not_found(self.type, "/".join(names[1::2]), call.target.group)
        return resource

    def _idle(self, cloud: Cloud, resource: Resource) -> None:
        running = cloud.operations.of(resource.id)
        if running is not None:
            raise self.busy(running)

    def busy(self, running: Operation) -> ArmError:
        return problems.conflict()

    def _place(self, cloud: Cloud, resource: Resource) -> str:
        if resource.location:
            return resource.location
        parent = cloud.world.get(resource.id.rsplit("/", 2)[0])
        return self._place(cloud, parent) if parent is not None else "eastus"

    def _check_location(self, call: Call, old: Resource | None) -> None:
        text = call.body.get("location")
        if not text:
            raise ArmError(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
                headers=problems.GATEWAY,
            )
        place = location_name(text)
        if place not in LOCATIONS:
            raise ArmError(
                400,
                "LocationNotAvailableForResourceType",
                f"The provided location '{text}' is not available for resource type '{self.type}'. List of available "
                f"regions for the resource type is '{','.join(LOCATIONS)}'.",
                headers=problems.GATEWAY,
            )
        if old is not None and old.location != place:
            raise ArmError(
                409,
                "InvalidResourceLocation",
                f"The resource '{old.name}' already exists in location '{old.location}' "
                f"in resource group '{old.group}'. "
                f"A resource with the same name cannot be created in location '{place}'. "
                "Please select a new resource name.",
                headers=problems.GATEWAY,
            )


def _written(body: dict[str, Any]) -> dict[str, Any]:
    """A copy of what the client wrote, without what means nothing in an answer."""
    kept = {
        key: value
        for key, value in copy.deepcopy(body).items()
        if key not in {"id", "name", "type"} and value is not None
    }
    if "location" in kept:
        kept["location"] = location_name(kept["location"])
    return kept


def merged(old: Any, new: Any) -> Any:
    """JSON merge as PATCH does it: objects merge, lists and scalars replace; tags are replaced whole."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    result = copy.deepcopy(old)
    for key, value in new.items():
        result[key] = copy.deepcopy(value) if key == "tags" else merged(result.get(key), value)
    return result


def reference(call: Call, body: dict[str, Any] | None, wanted: str) -> Resource:
    """The resource an `{"id": …}` points at, which must exist and be of type `wanted`."""
    identifier = str((body or {}).get("id", ""))
    found = call.cloud.world.get(identifier)
    if found is None or found.kind.lower() != wanted.lower():
        raise problems.invalid_reference(identifier or "''", call.target.path)
    return found


def default(body: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Fill in what the client left out."""
    for key, value in values.items():
        if body.get(key) is None:
            body[key] = value
    return body
