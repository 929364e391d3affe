"""The front of ARM: one request through faults, authentication, api-version, rights, registration and locks."""

from __future__ import annotations

import asyncio
import json
import math
import traceback
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from armsim import problems, rates, roles
from armsim.cloud import Cloud
from armsim.dispatch import dispatch
from armsim.exchange import Answer, Call, Exchange, clock
from armsim.faults import Fault
from armsim.identifiers import guid
from armsim.polling import is_poll, pending, poll
from armsim.problems import ArmError
from armsim.server import drop_connection
from armsim.targets import Target, parse
from armsim.versions import check as check_version

METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]


class Front:
    """An ASGI application for the management and the login endpoint."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.app = Starlette(routes=[Route("/{path:path}", self.handle, methods=METHODS)])

    async def handle(self, request: Request) -> Response:
        base = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
        raw = await request.body()
        if "/oauth2/" in request.url.path or ".well-known" in request.url.path:
            return self._login(request, raw, base)
        began = clock()
        path = unquote(request.url.path)
        fault = self.cloud.faults.strike("arm", request.method, path)
        if fault is not None and fault.drop == "before":
            return drop_connection(request)
        answer, body = await self._answer(request, raw, base, fault)
        if fault is not None and fault.then is not None:
            await asyncio.to_thread(fault.then)
        if fault is not None and fault.drop == "after":
            return drop_connection(request)
        return self._respond(request, answer, body, began)

    def _login(self, request: Request, raw: bytes, base: str) -> Response:
        tenant = request.url.path.strip("/").split("/")[0]
        fault = self.cloud.faults.strike("login", request.method, request.url.path)
        if fault is not None and fault.drop:
            return drop_connection(request)
        if fault is not None and (refusal := fault.refusal()) is not None:
            return _json(
                Answer(refusal.status, refusal.raw or {"error": refusal.code, "error_description": refusal.message})
            )
        if request.url.path.endswith("openid-configuration"):
            return _json(Answer(200, self.cloud.tokens.configuration(base, tenant)))
        status, body = self.cloud.tokens.grant(raw, base)
        return _json(Answer(status, body))

    async def _answer(self, request: Request, raw: bytes, base: str, fault: Fault | None) -> tuple[Answer, Any]:
        body: Any = None
        try:
            if fault is not None and (refusal := fault.refusal()) is not None:
                body = json.loads(raw) if raw else None
                raise refusal
            call = self._admit(request, raw, base)
            body = call.body
            call.doom = fault.fail if fault is not None else None
            if self.cloud.pace.speed == math.inf:
                await self._let_work_end(call.target)
            with self.cloud.world.lock:
                self.cloud.operations.settle()
                answer = poll(call) or dispatch(call)
        except ArmError as error:
            answer = _refused(error)
        except Exception:  # noqa: BLE001
            self.cloud.mistakes.append(traceback.format_exc())
            answer = _refused(
                ArmError(500, "InternalServerError", f"The simulator failed: {traceback.format_exc(limit=-1)}")
            )
        return answer, body

    async def _let_work_end(self, target: Target) -> None:
        """In a world without waiting, an answer about an operation still waits for its real part."""
        for _ in range(1000):
            with self.cloud.world.lock:
                if not pending(self.cloud, target):
                    return
            await asyncio.sleep(0.005)

    def _admit(self, request: Request, raw: bytes, base: str) -> Call:
        cloud = self.cloud
        query = dict(request.query_params)
        target = parse(request.url.path)
        if request.url.path == "/metadata/endpoints":
            raise problems.not_found("not served")
        caller = cloud.tokens.read(request.headers.get("authorization", ""), base)
        version = check_version(target, query.get("api-version"))
        if target.subscription and target.subscription.lower() != cloud.subscription.lower():
            raise ArmError(
                404, "SubscriptionNotFound", f"The subscription '{target.subscription}' could not be found.",
                headers=problems.GATEWAY,
            )  # fmt: skip
        body = _parsed(request, raw)
        call = Call(
            cloud,
            request.method,
            target,
            version,
            query,
            body,
            {k.lower(): v for k, v in request.headers.items()},
            caller,
            base,
        )
        self._authorize(call)
        return call

    def _authorize(self, call: Call) -> None:
        cloud, target = call.cloud, call.target
        action = roles.action_of(call.method, target)
        if not cloud.roles.allow(action):
            raise problems.not_authorized(call.caller.client, call.caller.oid, action, target.path)
        if is_poll(target):
            return
        registering = target.types == () and call.method in {"GET", "POST"}
        namespaces = {name.lower() for name in cloud.registered}
        if (
            target.namespace
            and not registering
            and target.namespace.lower() not in namespaces
            and "register" not in target.path
        ):
            raise problems.not_registered(target.namespace)
        self._check_locks(call)

    def _check_locks(self, call: Call) -> None:
        verb = {"DELETE": "delete", "PUT": "write", "PATCH": "write", "POST": "write"}.get(call.method)
        path = call.target.path.lower()
        for scope, level in self.cloud.locks.items():
            inside = path == scope.lower() or path.startswith(scope.lower() + "/")
            holds_it = verb == "delete" and scope.lower().startswith(path + "/")
            strikes = verb == "delete" or (verb == "write" and level == "ReadOnly")
            if strikes and (inside or holds_it):
                raise problems.scope_locked(call.target.path, scope, verb or "")

    def _respond(self, request: Request, answer: Answer, body: Any, began: float) -> Response:
        method, path = request.method, unquote(request.url.path)
        shared = {
            "x-ms-request-id": guid(),
            "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id", guid()),
            "Cache-Control": "no-cache",
        } | (rates.headers(method, parse(path)) if answer.status < 400 else {})
        answer.headers = shared | answer.headers
        if isinstance(answer.body, (dict, list)):
            answer.headers.setdefault("Content-Type", "application/json; charset=utf-8")
        response = _json(answer)
        shown = answer.body if isinstance(answer.body, (dict, list)) else None
        self.cloud.log.add(
            Exchange(
                method, path, dict(request.query_params), body, answer.status, dict(answer.headers), shown, began,
                clock(), request.headers.get("user-agent", ""),
            )
        )  # fmt: skip
        return response


def _parsed(request: Request, raw: bytes) -> Any:
    if not raw:
        return None
    if "json" not in request.headers.get("content-type", ""):
        raise ArmError(
            415,
            "UnsupportedMediaType",
            "The content media type is not supported. Only 'application/json' is supported.",
        )
    try:
        return json.loads(raw)
    except ValueError as cause:
        raise ArmError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{cause}'."
        ) from cause


def _refused(error: ArmError) -> Answer:
    body: Any = error.raw if error.raw is not None else {"error": error.body()}
    return Answer(error.status, body, dict(error.headers))


def _json(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers)
    if answer.body is None:
        return Response(b"", answer.status, headers)
    headers.setdefault("Content-Type", "application/json; charset=utf-8")
    return Response(json.dumps(answer.body).encode(), answer.status, headers)
