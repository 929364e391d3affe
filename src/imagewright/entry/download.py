"""Build artifacts of another build, pipeline run or release, with the job's own token. Knows the azure-devops SDK."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from imagewright.core.clock import Clock, Deadline, SystemClock
from imagewright.core.errors import AuthenticationError, FetchError, OptionsError
from imagewright.entry.credentials import JOB_TOKENS
from imagewright.options.choices import ArtifactsFrom
from imagewright.options.pipeline import PipelineOptions

SECONDS = 30 * 60.0
PAUSES = (2.0, 8.0, 0.0)
"""Seconds after each attempt of a download that broke off."""

HINT = "the build service needs to read that pipeline: look at `Limit job authorization scope` and its permissions"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an artifact is: `pipeline` is 0 for a build of the old kind."""

    project: str
    run: int
    name: str
    pipeline: int = 0


class _BrokenError(Exception):
    """The connection ended before the artifact did."""


def download(
    given: PipelineOptions, environment: Mapping[str, str], directory: Path, clock: Clock | None = None
) -> tuple[str, str]:
    """Fetch and unpack the artifact; returns its folder and a sentence. Raises our own errors."""
    collection = environment.get("SYSTEM_COLLECTIONURI", "")
    token = next((environment[name] for name in JOB_TOKENS if environment.get(name)), "")
    if not (collection and token):
        raise AuthenticationError(
            "`artifactsFrom` needs the job's token, and the agent gives none",
            hint="in a script step map it: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
        )
    os.environ.setdefault("AZURE_DEVOPS_CACHE_DIR", str(directory))  # otherwise the SDK writes to the home directory
    service = Service(collection, token)
    place = _place(given, environment, service)
    archive = directory / "artifact.zip"
    try:
        service.save(place, archive, Deadline.after(clock or SystemClock(), SECONDS, "the download"))
        folder = _unpack(archive, directory / "artifact" / place.name)
        archive.unlink()
    except OSError as error:
        raise FetchError(
            f"the artifact {place.name} cannot be kept in {directory}: {error.strerror}", hint="is the disk full?"
        ) from error
    return str(folder), f"build artifacts: {place.name} of {given.artifacts_from} {place.run} in {place.project}"


class Service:
    """What we ask of Azure DevOps, in our words."""

    def __init__(self, collection: str, token: str) -> None:
        from azure.devops.connection import Connection  # type: ignore[import-untyped]
        from azure.devops.credentials import BasicAuthentication  # type: ignore[import-untyped]

        self._connection = Connection(base_url=collection, creds=BasicAuthentication("", token))

    def latest(self, project: str, definition: int, branch: str) -> int:
        """The newest successful build of a pipeline."""

        def ask() -> list[Any]:
            client = self._connection.clients_v7_1.get_build_client()
            return list(
                client.get_builds(
                    project,
                    definitions=[definition],
                    status_filter="completed",
                    result_filter="succeeded",
                    branch_name=branch or None,
                    top=1,
                    query_order="finishTimeDescending",
                )
            )

        found = _asked(ask)
        if not found:
            where = f" on {branch}" if branch else ""
            raise FetchError(f"pipeline {definition} in {project} has no successful run{where}", hint=HINT)
        return int(found[0].id)

    def definition(self, project: str, run: int) -> int:
        """The pipeline that a run is of."""
        return int(
            _asked(lambda: self._connection.clients_v7_1.get_build_client().get_build(project, run)).definition.id
        )

    def latest_release(self, project: str, definition: int, branch: str) -> int:
        """The newest active release of a pipeline: no draft, none that was abandoned."""

        def ask() -> list[Any]:
            client = self._connection.clients_v7_1.get_release_client()
            return list(
                client.get_releases(
                    project,
                    definition_id=definition,
                    status_filter="active",
                    source_branch_filter=branch or None,
                    query_order="descending",
                    top=1,
                )
            )

        found = _asked(ask)
        if not found:
            where = f" of {branch}" if branch else ""
            raise FetchError(f"release pipeline {definition} in {project} has no active release{where}", hint=HINT)
        return int(found[0].id)

    def of_release(self, project: str, release: int, name: str) -> tuple[str, int, str]:
        """Project, build and the artifact's name (or `""`) of `alias`, of `alias/artifact`, or of the primary one."""
        found = _asked(lambda: self._connection.clients_v7_1.get_release_client().get_release(project, release))
        there = {each.alias: each for each in found.artifacts or ()}
        alias, _, inner = (name, "", "") if name in there else name.rpartition("/")
        chosen = there.get(alias) if name else next((each for each in there.values() if each.is_primary), None)
        if chosen is None:
            names = ", ".join(f"`{each}`" for each in there) or "none"
            raise FetchError(f"release {release} has no artifact `{name or '(primary)'}`", hint=f"it has {names}")
        reference = chosen.definition_reference
        try:
            return reference["project"].id, int(reference["version"].id), inner
        except (KeyError, ValueError, TypeError) as error:
            raise FetchError(
                f"the artifact `{chosen.alias}` of release {release} is not the one of a build",
                hint="choose another by `artifactsName`",
            ) from error

    def names(self, project: str, run: int) -> list[str]:
        """The artifacts of a build."""
        client = self._connection.clients_v7_1.get_build_client
        return [str(each.name) for each in _asked(lambda: client().get_artifacts(project, run))]

    def save(self, place: Place, archive: Path, deadline: Deadline) -> None:
        """Write the artifact as a zip archive; what breaks off is tried again. An OSError is about the file."""
        if place.pipeline:
            self._save_signed(place, archive, deadline)
            return
        reason = ""
        for pause in PAUSES:
            try:
                with archive.open("wb") as file:
                    file.writelines(self._content(place))
                if zipfile.is_zipfile(archive):
                    return
                reason = "the archive is not whole"
            except _BrokenError as error:
                reason = str(error)
            deadline.wait(pause)
        raise FetchError(
            f"artifact {place.name} of run {place.run} could not be downloaded in {len(PAUSES)} attempts: {reason}",
            hint="look whether the agent reaches Azure DevOps (proxy, firewall)",
        )

    def _content(self, place: Place) -> Iterator[bytes]:
        client = self._connection.clients_v7_1.get_build_client
        with _ours():
            yield from client().get_artifact_content_zip(place.project, place.run, place.name)

    def _save_signed(self, place: Place, archive: Path, deadline: Deadline) -> None:
        from imagewright.staging.fetch import read

        client = self._connection.clients_v7_1.get_pipelines_client
        found = _asked(
            lambda: client().get_artifact(
                place.project, place.pipeline, place.run, place.name, expand="signedContent"
            )
        )
        read(found.signed_content.url, archive, deadline)


def _place(given: PipelineOptions, environment: Mapping[str, str], service: Service) -> Place:
    project = (
        given.artifacts_project
        or environment.get("SYSTEM_TEAMPROJECTID")
        or environment.get("SYSTEM_TEAMPROJECT", "")
    )
    run = _number(given.artifacts_run, "artifactsRun")
    definition = _number(given.artifacts_definition, "artifactsDefinition")
    if given.artifacts_from is ArtifactsFrom.RELEASE:
        own = 0 if definition else _number(environment.get("RELEASE_RELEASEID", ""), "RELEASE_RELEASEID")
        release = run or own
        if not release:
            definition = definition or _needed("artifactsDefinition")
            release = service.latest_release(project, definition, given.artifacts_branch)
        project, run, name = service.of_release(project, release, given.artifacts_name)
        return Place(project, run, name or _only(service.names(project, run), run, "ALIAS/"))
    definition = definition or _number(environment.get("SYSTEM_DEFINITIONID", ""), "SYSTEM_DEFINITIONID")
    if not run:
        run = service.latest(project, definition or _needed("artifactsDefinition"), given.artifacts_branch)
    name = given.artifacts_name or _only(service.names(project, run), run)
    if given.artifacts_from is ArtifactsFrom.BUILD:
        return Place(project, run, name)
    pipeline = service.definition(project, run) if given.artifacts_run else definition
    return Place(project, run, name, pipeline)


def _only(names: list[str], run: int, before: str = "") -> str:
    """The one that there is. `before` is what goes before its name where several could be chosen from."""
    if len(names) == 1:
        return names[0]
    if not names:
        raise FetchError(f"run {run} has no artifact", hint="publish one, with PublishPipelineArtifact@1")
    raise OptionsError(
        f"run {run} has {len(names)} artifacts",
        hint=f"choose one by `artifactsName`: {', '.join(before + name for name in sorted(names))}",
    )


def _number(text: str, where: str) -> int:
    if text and not text.strip().isdigit():
        raise OptionsError(f"`{where}`: `{text}` is no id", hint="ids are numbers")
    return int(text or 0)


def _needed(name: str) -> int:
    raise OptionsError(f"`artifactsFrom` needs `{name}` here", hint="or give `artifactsRun`")


def _unpack(archive: Path, folder: Path) -> Path:
    """Where the files are: an archive of one folder is named by it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    except zipfile.BadZipFile as error:
        raise FetchError(f"the artifact {folder.name} could not be unpacked: {error}") from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _asked(ask: Callable[[], T]) -> T:
    with _ours():
        return ask()


@contextmanager
def _ours() -> Iterator[None]:
    """The SDK's errors as ours."""
    from azure.devops.exceptions import AzureDevOpsAuthenticationError  # type: ignore[import-untyped]
    from msrest.exceptions import ClientException
    from requests import RequestException

    try:
        yield
    except RequestException as error:
        raise _BrokenError(_first(error)) from error
    except AzureDevOpsAuthenticationError as error:
        raise AuthenticationError(f"Azure DevOps refuses the job's token: {_first(error)}", hint=HINT) from error
    except (ClientException, ValueError) as error:
        raise FetchError(f"Azure DevOps: {_first(error)}", hint=HINT) from error


def _first(error: Exception) -> str:
    lines: Iterable[str] = str(error).splitlines()
    return next(iter(lines), type(error).__name__)
