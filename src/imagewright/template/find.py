"""Where the image templates are: the file itself is one, or a deployment template holds some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagewright.core.secret import Mask
from imagewright.core.unknown import Unknown
from imagewright.template.context import ArmContext
from imagewright.template.located import Located, as_written
from imagewright.template.report import Report
from imagewright.template.source import Document


@dataclass(frozen=True, slots=True)
class Found:
    """An image template, and the api-version it speaks (`""`: the newest)."""

    located: Located
    version: str | Unknown


def find(
    document: Document, parameters: str | None, overrides: Mapping[str, str], context: ArmContext, report: Report
) -> tuple[list[Found], Mask]:
    data = document.data
    if isinstance(data, dict) and "properties" in data:
        return [Found(as_written(document, data, ""), str(data.get("apiVersion", "")))], Mask()
    report.error("no-image-template", "there is no image template in this file", document.origin())
    return [], Mask()
