"""A TLS server on loopback in a thread, and the way to cut one of its connections."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from armsim.certificates import Certificates

_TRANSPORTS: dict[tuple[str, int, int], asyncio.Transport] = {}
_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}
"""By the server's port: where its transports may be touched."""


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, which remembers the transport of each connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._key = _key(transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
        _TRANSPORTS[self._key] = transport
        _LOOPS[self._key[2]] = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        _TRANSPORTS.pop(self._key, None)
        super().connection_lost(exc)


def _key(client: tuple[str, int], server: tuple[str, int]) -> tuple[str, int, int]:
    return client[0], client[1], server[1]


def drop_connection(request: Request) -> Response:
    """Cut the connection a request came on; what is returned never arrives."""
    transport = _TRANSPORTS.get(_key(request.scope["client"], request.scope["server"]))
    if transport is not None:
        transport.abort()
    return Response(status_code=500)


class Server:
    """An ASGI application behind TLS at `https://127.0.0.1:<port>`."""

    def __init__(self, app: Any, certificates: Certificates) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            ssl_certfile=str(certificates.chain),
            ssl_keyfile=str(certificates.key),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=f"armsim-{self.port}", daemon=True
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        pause = threading.Event()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the simulator's server did not start")
            pause.wait(0.005)

    def stop(self) -> None:
        for key, transport in tuple(_TRANSPORTS.items()):
            if key[2] == self.port:  # clients keep connections open; without a loop nobody could close our end
                _LOOPS[self.port].call_soon_threadsafe(transport.abort)
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
        _LOOPS.pop(self.port, None)
