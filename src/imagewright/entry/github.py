"""GitHub Actions: where the action's inputs come from and where its outputs go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagewright.core.secret import Secret
from imagewright.entry.inputs import Inputs, of_document, of_variables
from imagewright.options.outputs import OUTPUTS
from imagewright.options.pipeline import PipelineOptions
from imagewright.options.row import Option
from imagewright.render.github import GitHubDialect, masks

HOSTED_MINUTES = 360
"""The longest that a job on a hosted runner may take."""

DEFAULT_ARTIFACTS = "workflow-artifacts"
"""The folder that azure/build-vm-image takes when nobody names one."""


@dataclass(frozen=True)
class GitHub:
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    dialect: GitHubDialect = field(default_factory=GitHubDialect.fresh)

    @property
    def secrets(self) -> Iterable[Secret]:
        """The runner tells nobody of them, and masks the summary page too."""
        return ()

    @property
    def temp(self) -> Path:
        return Path(self.environment.get("RUNNER_TEMP") or tempfile.gettempdir())

    @property
    def workspace(self) -> Path:
        return Path(self.environment.get("GITHUB_WORKSPACE") or Path.cwd())

    @property
    def verbose(self) -> bool:
        return self.environment.get("RUNNER_DEBUG") == "1"

    @property
    def run(self) -> str:
        parts = (self._get("RUN_ID"), self._get("RUN_ATTEMPT"), self._get("JOB"))
        return "-".join(part for part in parts if part) or "local"

    @property
    def run_url(self) -> str:
        server, repository, run = self._get("SERVER_URL"), self._get("REPOSITORY"), self._get("RUN_ID")
        return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""

    @property
    def tags(self) -> Mapping[str, str]:
        tags = {"RunURL": self.run_url, "GitHubRepo": self._get("REPOSITORY"), "GithubCommit": self._get("SHA")}
        return {name: value for name, value in tags.items() if value}

    def job_minutes(self, told: int | None) -> tuple[int | None, bool]:
        hosted = self.environment.get("RUNNER_ENVIRONMENT") == "github-hosted"
        return (told or (HOSTED_MINUTES if hosted else None)), True

    def inputs(self) -> Inputs:
        return Inputs(of_variables(self.environment), _names)

    def unknown(self, inputs: Inputs) -> tuple[str, ...]:
        """A composite step gets no undeclared input, but the document of all of them has it."""
        told = of_document(self.environment.get("IMAGEWRIGHT_INPUTS", ""))
        return Inputs(told, _names).unknown() if told else inputs.unknown()

    def connection(self, given: PipelineOptions) -> str:
        return ""

    def artifacts(self, given: PipelineOptions, directory: Path) -> tuple[str, str]:
        folder = self.workspace / DEFAULT_ARTIFACTS
        return (str(folder), f"build artifacts: {DEFAULT_ARTIFACTS}/ is there") if folder.is_dir() else ("", "")

    def masks(self, value: str) -> list[str]:
        return masks(value)

    def outputs(self, values: Mapping[str, str]) -> list[str]:
        if Path(self.environment.get("GITHUB_OUTPUT", "")).is_file():
            from actions_toolkit import core  # type: ignore[import-untyped]

            for output in OUTPUTS:
                name = output.same_as or output.name
                if output.github and name in values:
                    core.set_output(output.name, values[name])
        return []

    def summary(self, markdown: str, directory: Path) -> list[str]:
        file = self.environment.get("GITHUB_STEP_SUMMARY", "")
        if file:
            with Path(file).open("a", encoding="utf-8", newline="\n") as page:
                page.write(markdown)
        return []

    def finished(self, values: Mapping[str, str]) -> list[str]:
        return []

    def _get(self, name: str) -> str:
        return self.environment.get(f"GITHUB_{name}", "")


def _names(option: Option) -> tuple[str, ...]:
    return option.github_inputs
