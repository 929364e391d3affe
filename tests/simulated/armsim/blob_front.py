"""What stands between a client and Azurite: the rules of the storage account, which Azurite does not have.

An account that is not there does not answer, one that forbids shared keys refuses them, one that is closed to public
networks refuses everybody, and a caller without a data role gets no bearer access. Everything else is Azurite's.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import urllib3
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from armsim.certificates import certificates
from armsim.identifiers import guid
from armsim.server import drop_connection

if TYPE_CHECKING:
    from armsim.cloud import Cloud

METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]
_HOP = {"connection", "keep-alive", "transfer-encoding", "host"}


class BlobFront:
    """An ASGI application for `https://127.0.0.1:<port>/<account>/<container>/<blob>`."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._pool = urllib3.PoolManager(
            maxsize=64, ca_certs=str(certificates().authority), retries=False, timeout=600
        )
        self.app = Starlette(routes=[Route("/{path:path}", self.handle, methods=METHODS)])
        self.requests: list[tuple[str, str, int]] = []

    async def handle(self, request: Request) -> Response:
        path = request.url.path
        fault = self.cloud.faults.strike("blob", request.method, path)
        body = await request.body()
        if fault is not None:
            if fault.drop:
                return drop_connection(request)
            if (refusal := fault.refusal()) is not None:
                return _error(refusal.status, refusal.code or "ServerBusy", refusal.message, refusal.headers)
        try:
            response = self._refuse(request) or await self._forward(request, body)
        except Exception:  # noqa: BLE001
            self.cloud.mistakes.append(traceback.format_exc())
            response = _error(500, "InternalError", f"The simulator failed: {traceback.format_exc(limit=-1)}")
        self.requests.append((request.method, path, response.status_code))
        if fault is not None and fault.then is not None:
            await asyncio.to_thread(fault.then)
        return response

    def _refuse(self, request: Request) -> Response | None:
        name = request.url.path.strip("/").split("/")[0]
        if name in self.cloud.blobs.internal:
            return None
        with self.cloud.world.lock:
            account = self.cloud.blobs.account(name)
            if account is None:
                return _error(404, "ResourceNotFound", f"The account {name} being accessed does not exist.")
            properties = account.properties
        given = request.headers.get("authorization", "")
        delegated = "skoid" in request.query_params
        signed = "sig" in request.query_params
        if (
            properties.get("publicNetworkAccess") == "Disabled"
            or (properties.get("networkAcls") or {}).get("defaultAction") == "Deny"
        ) and not self._let_in(properties):
            return _error(403, "AuthorizationFailure", "This request is not authorized to perform this operation.")
        if properties.get("allowSharedKeyAccess") is False and (
            given.startswith("SharedKey") or (signed and not delegated)
        ):
            return _error(
                403,
                "KeyBasedAuthenticationNotPermitted",
                "Key based authentication is not permitted on this storage account.",
            )
        if not given and not signed and properties.get("allowBlobPublicAccess") is not True:
            return _error(
                401,
                "NoAuthenticationInformation",
                (
                    "Server failed to authenticate the request. Please refer to the "
                    "information in the www-authenticate header."
                ),
                {
                    "WWW-Authenticate": (
                        "Bearer "
                        f"authorization_uri=https://{request.headers.get('host')}/{self.cloud.tokens.tenant}"
                        "/oauth2/authorize "
                        "resource_id=https://storage.azure.com"
                    )
                },
            )
        if given.startswith("Bearer"):
            verb = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(request.method, "write")
            if request.query_params.get("comp") == "userdelegationkey":
                action = "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action"
                allowed = self.cloud.roles.allow(action)
            elif request.query_params.get("restype") == "container" and not request.query_params.get("comp"):
                allowed = self.cloud.roles.allow(f"Microsoft.Storage/storageAccounts/blobServices/containers/{verb}")
            else:
                allowed = self.cloud.roles.allow_data(
                    f"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/{verb}"
                )
            if not allowed:
                return _error(
                    403,
                    "AuthorizationPermissionMismatch",
                    "This request is not authorized to perform this operation using this permission.",
                )
        return None

    def _let_in(self, properties: dict[str, Any]) -> bool:
        if properties.get("publicNetworkAccess") == "Disabled":
            return False
        rules = (properties.get("networkAcls") or {}).get("ipRules") or []
        return any(rule.get("value") == self.cloud.agent_address for rule in rules)

    async def _forward(self, request: Request, body: bytes) -> Response:
        port = self.cloud.blobs.azurite.port
        url = f"https://127.0.0.1:{port}{request.scope['raw_path'].decode()}"
        if request.url.query:
            url += f"?{request.url.query}"
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        headers["Host"] = request.headers.get("host", "127.0.0.1")
        answer = await asyncio.to_thread(
            self._pool.request,
            request.method,
            url,
            body=body or None,
            headers=headers,
            preload_content=False,
            redirect=False,
        )
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        if request.method == "HEAD" or not int(answer.headers.get("content-length", "1")):
            await asyncio.to_thread(answer.drain_conn)
            answer.release_conn()
            return Response(b"", answer.status, kept)
        return StreamingResponse(_chunks(answer), answer.status, kept)


async def _chunks(answer: urllib3.BaseHTTPResponse) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(answer.read, 1 << 20, decode_content=False):
        yield chunk
    answer.release_conn()


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = (
        '<?xml version="1.0" '
        f'encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}\nRequestId:{guid()}</Message></Error>'
    )
    found = {"x-ms-error-code": code, "Content-Type": "application/xml", "x-ms-request-id": guid()} | (headers or {})
    return Response(body.encode(), status, found)
