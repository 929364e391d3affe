"""Azure Pipelines: where the task's inputs come from and where its outputs go."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagewright.core.secret import Secret
from imagewright.entry.inputs import Inputs, of_variables
from imagewright.options.outputs import OUTPUTS
from imagewright.options.pipeline import PipelineOptions
from imagewright.options.row import Option
from imagewright.render.azure_pipelines import AzurePipelinesDialect, command, masks

DEFAULT_MINUTES = 60
"""What a job may take unless `timeoutInMinutes` says more: no variable tells a task."""


@dataclass(frozen=True)
class AzurePipelines:
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    dialect: AzurePipelinesDialect = field(default_factory=AzurePipelinesDialect)

    @property
    def secrets(self) -> Iterable[Secret]:
        """The agent masks its log, and neither the summary page nor the files of the build."""
        return (Secret(name, value) for name, value in self.environment.items() if name.startswith("SECRET_"))

    @property
    def temp(self) -> Path:
        return Path(self.environment.get("AGENT_TEMPDIRECTORY") or tempfile.gettempdir())

    @property
    def workspace(self) -> Path:
        return Path(self._get("BUILD_SOURCESDIRECTORY") or self._get("SYSTEM_DEFAULTWORKINGDIRECTORY") or Path.cwd())

    @property
    def verbose(self) -> bool:
        return self._get("SYSTEM_DEBUG").lower() == "true"

    @property
    def run(self) -> str:
        release = (self._get("RELEASE_RELEASEID"), self._get("RELEASE_ATTEMPTNUMBER"))
        build = (self._get("BUILD_BUILDID"), self._get("SYSTEM_JOBATTEMPT"))
        place = (self._get("SYSTEM_STAGENAME") or self._get("RELEASE_ENVIRONMENTNAME"), self._get("SYSTEM_JOBNAME"))
        parts = (*(release if release[0] else build), *place)
        return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(part for part in parts if part)).strip("-") or "local"

    @property
    def run_url(self) -> str:
        if url := self._get("RELEASE_RELEASEWEBURL"):
            return url
        collection, project, build = map(self._get, ("SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"))
        place = f"{collection.rstrip('/')}/{project.replace(' ', '%20')}"
        return f"{place}/_build/results?buildId={build}" if collection and project and build else ""

    @property
    def tags(self) -> Mapping[str, str]:
        tags = {
            "RunURL": self.run_url,
            "Repository": self._get("BUILD_REPOSITORY_NAME"),
            "Commit": self._get("BUILD_SOURCEVERSION"),
            "Pipeline": self._get("RELEASE_DEFINITIONNAME") or self._get("BUILD_DEFINITIONNAME"),
        }
        return {name: value for name, value in tags.items() if value}

    def job_minutes(self, told: int | None) -> tuple[int | None, bool]:
        return (DEFAULT_MINUTES, False) if told is None else (told or None, True)

    def inputs(self) -> Inputs:
        return Inputs(of_variables(self.environment), _names)

    def unknown(self, inputs: Inputs) -> tuple[str, ...]:
        """A pipeline's own variable `input.x` looks like an input; the agent says which are variables."""
        variables = {re.sub(r"[. ]", "_", name).upper() for name in self._variables()}
        return tuple(name for name in inputs.unknown() if f"INPUT_{name}" not in variables)

    def connection(self, given: PipelineOptions) -> str:
        return given.azure_subscription.strip()

    def artifacts(self, given: PipelineOptions, directory: Path) -> tuple[str, str]:
        if given.artifacts_from is not None:
            from imagewright.entry.download import download

            return download(given, self.environment, directory)
        alias = self._get("RELEASE_PRIMARYARTIFACTSOURCEALIAS")
        folder = Path(self._get("SYSTEM_ARTIFACTSDIRECTORY") or self._get("SYSTEM_DEFAULTWORKINGDIRECTORY")) / alias
        if self._get("SYSTEM_HOSTTYPE").lower() not in ("release", "deployment") or not alias or not folder.is_dir():
            return "", ""
        return str(folder), f"build artifacts: the primary artifact of this release, {alias}"

    def masks(self, value: str) -> list[str]:
        return masks(value)

    def outputs(self, values: Mapping[str, str]) -> list[str]:
        lines: list[str] = []
        for output in OUTPUTS:
            if output.task and output.name in values:
                name, value = output.task_output, values[output.name]
                lines.append(command("task.setvariable", value, variable=name, isOutput="true"))
                lines += [command("task.setvariable", value, variable=name)] if output.former_task else []
        return lines

    def summary(self, markdown: str, directory: Path) -> list[str]:
        file = directory / "Imagewright.md"
        file.write_text(markdown, encoding="utf-8", newline="\n")
        return [command("task.uploadsummary", str(file))]

    def finished(self, values: Mapping[str, str]) -> list[str]:
        """A build is tagged with the version of its image; a release has no tags."""
        version = values.get("version", "")
        if self._get("SYSTEM_HOSTTYPE").lower() != "build" or not version:
            return []
        return [command("build.addbuildtag", f"image-{version}")]

    def _variables(self) -> list[str]:
        names: list[str] = []
        for variable in ("VSTS_PUBLIC_VARIABLES", "VSTS_SECRET_VARIABLES"):
            try:
                names += [str(name) for name in json.loads(self._get(variable) or "[]")]
            except (ValueError, TypeError):
                continue
        return names

    def _get(self, name: str) -> str:
        return self.environment.get(name, "")


def _names(option: Option) -> tuple[str, ...]:
    return option.task_inputs
