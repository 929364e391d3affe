"""What `entry/pipeline.py` needs of a runner. GitHub and Azure Pipelines satisfy it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from imagewright.core.secret import Secret
from imagewright.entry.inputs import Inputs
from imagewright.options.pipeline import PipelineOptions
from imagewright.render.pipeline import Dialect


class Runner(Protocol):
    @property
    def environment(self) -> Mapping[str, str]: ...

    @property
    def dialect(self) -> Dialect: ...

    @property
    def secrets(self) -> Iterable[Secret]:
        """What the job knows and nothing may show that the runner itself does not mask."""
        ...

    @property
    def temp(self) -> Path:
        """A directory that the runner empties after the job."""
        ...

    @property
    def workspace(self) -> Path: ...

    @property
    def verbose(self) -> bool:
        """Whether somebody asked for a debug run."""
        ...

    @property
    def run(self) -> str:
        """Names this attempt of this job among all others: letters, digits, hyphens."""
        ...

    @property
    def run_url(self) -> str: ...

    @property
    def tags(self) -> Mapping[str, str]:
        """What an image shall tell about where it comes from."""
        ...

    def job_minutes(self, told: int | None) -> tuple[int | None, bool]:
        """The job's own limit, or None, and whether that is certain. `told` is what the user said; 0 is no limit."""
        ...

    def inputs(self) -> Inputs: ...

    def unknown(self, inputs: Inputs) -> tuple[str, ...]:
        """The inputs that were given and do not exist."""
        ...

    def connection(self, given: PipelineOptions) -> str:
        """The id of the service connection, or `""`."""
        ...

    def artifacts(self, given: PipelineOptions, directory: Path) -> tuple[str, str]:
        """The build artifacts where no input names them (downloaded, or the runner's default), and what was done."""
        ...

    def masks(self, value: str) -> list[str]:
        """The lines that hide `value` from the job's logs."""
        ...

    def outputs(self, values: Mapping[str, str]) -> list[str]:
        """Set outputs, by their names in the table; returns the lines that the runner obeys."""
        ...

    def summary(self, markdown: str, directory: Path) -> list[str]:
        """Show a page beside the log; returns the lines that the runner obeys."""
        ...

    def finished(self, values: Mapping[str, str]) -> Iterable[str]:
        """The last lines of a build that succeeded."""
        ...
