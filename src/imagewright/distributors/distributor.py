"""What all distributors have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from imagewright.core.shape import Known, Shape


class Distributor(Shape):
    renamed: ClassVar = {"tags": "artifactTags", "aritfactTags": "artifactTags"}

    run_output_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-_.]{1,64}$")]
    artifact_tags: dict[str, Known[str]] = Field(default={})

    def tags(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.artifact_tags.items())
