"""As much of the REST interface of Azure DevOps as the download of an artifact needs, on loopback."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOCATIONS = {
    "e81700f7-3be2-46de-8624-2eb35882fcaa": ("Location", "ResourceAreas", "_apis/{resource}/{areaId}"),
    "0cd358e1-9217-4d94-8269-1c1ee6f93dcf": ("build", "Builds", "{project}/_apis/build/{resource}/{buildId}"),
    "1db06c96-014e-44e1-ac91-90b2d4b3e984": (
        "build", "artifacts", "{project}/_apis/build/builds/{buildId}/{resource}/{artifactName}",
    ),
    "85023071-bd5e-4438-89b0-2a5bf362a19d": (
        "pipelines", "artifacts", "{project}/_apis/pipelines/{pipelineId}/runs/{runId}/{resource}",
    ),
    "a166fde7-27ad-408e-ba75-703c2cc9d500": ("Release", "releases", "{project}/_apis/release/{resource}/{releaseId}"),
}  # fmt: skip


@dataclass
class Build:
    definition: int
    branch: str = "refs/heads/main"
    result: str = "succeeded"
    artifacts: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)


@dataclass
class AzureDevOps:
    """`releases` by id: definition, and by alias (primary?, build)."""

    token: str = "job-token"
    project: str = "shop"
    builds: dict[int, Build] = field(default_factory=dict)
    releases: dict[int, tuple[int, dict[str, tuple[bool, int]]]] = field(default_factory=dict)
    abandoned: set[int] = field(default_factory=set)
    cut: int = 0
    """How many of the next downloads end in the middle."""
    url: str = ""

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match [each.lower() for each in parts.path.strip("/").split("/")]:
            case ["_apis", "resourceareas"]:
                return _json({"count": 0, "value": []})
            case [_, "_apis", "build", "builds"]:
                found = [number for number in sorted(self.builds, reverse=True) if self._wanted(number, query)]
                return _json({"count": len(found), "value": [self._build(number) for number in found[:1]]})
            case [_, "_apis", "build", "builds", number] if int(number) in self.builds:
                return _json(self._build(int(number)))
            case [_, "_apis", "build", "builds", number, "artifacts"] if int(number) in self.builds:
                return self._artifacts(self.builds[int(number)], query.get("artifactName", ""), accept)
            case [_, "_apis", "pipelines", pipeline, "runs", number, "artifacts"]:
                if self.builds[int(number)].definition != int(pipeline) or query.get("$expand") != "signedContent":
                    return _json({"message": "no such run"}, 404)
                signed = f"{self.url}/signed/{number}/{query['artifactName']}"
                return _json({"name": query["artifactName"], "signedContent": {"url": signed}})
            case ["signed", number, name]:
                return 200, "application/zip", _zip(name, self.builds[int(number)].artifacts[name])
            case [_, "_apis", "release", "releases"]:
                wanted = int(query["definitionId"])
                branch = query.get("sourceBranchFilter", "")
                found = [
                    number
                    for number in sorted(self.releases, reverse=True)
                    if self.releases[number][0] == wanted
                    and not (query.get("statusFilter") == "active" and number in self.abandoned)
                    and branch in ("", *(self.builds[build].branch for _, build in self.releases[number][1].values()))
                ]
                return _json({"count": len(found), "value": [{"id": number} for number in found[:1]]})
            case [_, "_apis", "release", "releases", number] if int(number) in self.releases:
                return _json(self._release(int(number)))
        return _json({"message": f"{path} does not exist"}, 404)

    def _wanted(self, number: int, query: Mapping[str, str]) -> bool:
        build = self.builds[number]
        return (
            str(build.definition) in query.get("definitions", str(build.definition)).split(",")
            and build.result == query.get("resultFilter", build.result)
            and build.branch == query.get("branchName", build.branch)
        )

    def _build(self, number: int) -> dict[str, object]:
        return {"id": number, "definition": {"id": self.builds[number].definition}}

    def _artifacts(self, build: Build, name: str, accept: str) -> tuple[int, str, bytes]:
        if not name:
            return _json({"count": len(build.artifacts), "value": [{"name": each} for each in build.artifacts]})
        if name not in build.artifacts:
            return _json({"message": f"Artifact {name} was not found"}, 404)
        assert accept.startswith("application/zip")
        return 200, "application/zip", _zip(name, build.artifacts[name])

    def _release(self, number: int) -> dict[str, object]:
        artifacts = [
            {
                "alias": alias,
                "isPrimary": primary,
                "definitionReference": {
                    "project": {"id": self.project},
                    "version": {"id": str(build)},
                    "definition": {"id": str(self.builds[build].definition)},
                },
            }
            for alias, (primary, build) in self.releases[number][1].items()
        ]
        return {"id": number, "artifacts": artifacts}


def _json(content: object, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(content).encode()


def _zip(name: str, files: Mapping[str, bytes]) -> bytes:
    """Everything is in a folder that is called like the artifact."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, content in files.items():
            archive.writestr(f"{name}/{file}", content)
    return packed.getvalue()


@contextmanager
def azure_devops() -> Iterator[AzureDevOps]:
    service = AzureDevOps()

    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            value = [
                {
                    "id": id_,
                    "area": area,
                    "resourceName": resource,
                    "routeTemplate": route,
                    "resourceVersion": 9,
                    "minVersion": 1.0,
                    "maxVersion": 7.1,
                    "releasedVersion": "7.1",
                }
                for id_, (area, resource, route) in LOCATIONS.items()
            ]
            self._send(*_json({"count": len(value), "value": value}))

        def do_GET(self) -> None:
            signed = self.path.startswith("/signed/")
            wanted = "Basic " + base64.b64encode(f":{service.token}".encode()).decode()
            if not signed and self.headers.get("Authorization") != wanted:
                self._send(401, "text/plain", b"who are you?")
                return
            self._send(*service.answer(self.path, self.headers.get("Accept", "")))

        def _send(self, status: int, kind: str, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if kind == "application/zip" and service.cut:
                service.cut -= 1
                data = data[: len(data) // 2]
                self.close_connection = True
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - http.server's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
