"""A CONNECT proxy that dials the simulator whatever name it is asked for.

For clients whose endpoints are fixed (packer's azure-arm): `HTTPS_PROXY=<proxy.url>` and `SSL_CERT_FILE=<authority>`.
"""

from __future__ import annotations

import contextlib
import socket
import threading

_BLOB = ".blob.core.windows.net"


class Proxy:
    """Listens at `url`; tunnels Azure's names to the simulator and everything else nowhere."""

    def __init__(self, management_port: int, data_port: int) -> None:
        self._management, self._data = management_port, data_port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.refused: list[str] = []
        threading.Thread(target=self._accept, daemon=True, name="armsim-proxy").start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = client.recv(4096)
                if not chunk:
                    return
                head += chunk
            method, place = head.decode("latin-1").split(" ")[:2]
            name = place.rpartition(":")[0]
            if method != "CONNECT" or not self._known(name):
                self.refused.append(place)
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            port = self._data if name.endswith(_BLOB) else self._management
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _tunnel(client, server)

    @staticmethod
    def _known(name: str) -> bool:
        return name in {"management.azure.com", "login.microsoftonline.com", "vault.azure.net"} or name.endswith(
            _BLOB
        )


def _tunnel(client: socket.socket, server: socket.socket) -> None:
    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
    back.start()
    _pump(client, server)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
