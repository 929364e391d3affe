"""The three token services that a pipeline talks to, on loopback: GitHub's, Azure DevOps' and Microsoft Entra.

Time in them is a number that a test moves, with `moved` for the whole process: assertions and tokens run out by it,
and nobody has to sleep.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

AUDIENCE = "api://AzureADTokenExchange"


@dataclass
class Services:
    """What was issued, and how the services behave. `fail` answers are given first, by status code."""

    now: float = 0.0
    github_seconds: float = 300.0
    azure_devops_seconds: float = 600.0
    token_seconds: int = 3600
    github_token: str = "request-token"
    job_token: str = "job-token"
    connection: str = "11111111-2222-3333-4444-555555555555"
    issued: list[str] = field(default_factory=list)
    redeemed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    http: str = ""
    https: str = ""
    authority_file: Path = Path()

    def moved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The identity library reads the same time as these services."""
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.now)

    def assertion(self, issuer: str, seconds: float) -> str:
        claims = {"iss": issuer, "aud": AUDIENCE, "exp": self.now + seconds, "jti": len(self.issued)}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "RS256"}, claims)
        ]
        self.issued.append((b".".join([*parts, b"signature"])).decode())
        return self.issued[-1]

    def redeem(self, assertion: str) -> str:
        """Use an assertion for a token. Returns what is wrong with it, or `""`."""
        wrong = self._wrong(assertion)
        (self.refused if wrong else self.redeemed).append(assertion)
        return wrong

    def _wrong(self, assertion: str) -> str:
        if assertion not in self.issued:
            return "AADSTS50013: unknown assertion"
        payload = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return "AADSTS700024: assertion is not within its time" if claims["exp"] <= self.now else ""


Answer = tuple[int, dict[str, object]]


def _github(services: Services, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    query = parse_qs(urlsplit(path).query)
    if headers.get("authorization") != f"Bearer {services.github_token}":
        return 401, {"message": "bad token"}
    if query.get("api-version") != ["2.0"] or query.get("audience") != [AUDIENCE] or method != "GET":
        return 400, {"message": f"bad request {path}"}
    return 200, {"count": 1, "value": services.assertion("github", services.github_seconds)}


def _azure_devops(services: Services, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    query = parse_qs(urlsplit(path).query)
    if headers.get("authorization") != f"Bearer {services.job_token}":
        return 401, {"message": "bad token"}
    wanted = query.get("serviceConnectionId") == [services.connection] and query.get("api-version") == ["7.1"]
    if not wanted or method != "POST" or headers.get("x-tfs-fedauthredirect") != "Suppress":
        return 400, {"message": f"bad request {path}"}
    return 200, {"oidcToken": services.assertion("azure devops", services.azure_devops_seconds)}


def _entra(services: Services, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    if wrong := services.redeem(form.get("client_assertion", "")):
        return 401, {"error": "invalid_client", "error_description": wrong}
    token = f"access-{len(services.redeemed)}-{form['client_id']}"
    seconds = services.token_seconds
    return 200, {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}


_ROUTES: tuple[tuple[str, Callable[[Services, str, str, dict[str, str], bytes], Answer]], ...] = (
    ("/github", _github),
    ("/azuredevops", _azure_devops),
    ("/", _entra),
)


def _handler(services: Services) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if services.fail:
                status, content = services.fail.pop(0), {"message": "not now"}
            else:
                route = next(route for prefix, route in _ROUTES if self.path.startswith(prefix))
                status, content = route(services, self.command, self.path, headers, body)  # type: ignore[assignment]
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - http.server's name

    return Handler


@contextmanager
def token_services(directory: Path) -> Iterator[Services]:
    services = Services()
    services.authority_file = _certificate(directory)
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(services.authority_file)
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(services)) for _ in range(2)]
    servers[1].socket = secure.wrap_socket(servers[1].socket, server_side=True)
    services.http = f"http://127.0.0.1:{servers[0].server_port}"
    services.https = f"https://127.0.0.1:{servers[1].server_port}"
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield services
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


def _certificate(directory: Path) -> Path:
    """A key and a certificate of 127.0.0.1 that is its own authority, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "entra.pem"
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(plain + certificate.public_bytes(serialization.Encoding.PEM))
    return file
