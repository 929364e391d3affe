"""The two questions that are asked of a template: is it right, and what will be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.core.errors import Diagnostic, Severity, TemplateError
from imagewright.core.secret import Mask
from imagewright.template.context import ArmContext
from imagewright.template.report import Report
from imagewright.template.source import read

if TYPE_CHECKING:
    from imagewright.core.plan import Plan
    from imagewright.template.located import Located
    from imagewright.template.schema import ImageTemplate


@dataclass(frozen=True, slots=True)
class Checked:
    """The image templates that were understood (they may hold `Unknown` values), and all that was found.

    `mask` hides the secrets of the files that were read; the diagnostics are masked already.
    """

    templates: tuple[ImageTemplate, ...]
    diagnostics: tuple[Diagnostic, ...]
    mask: Mask = Mask()

    @property
    def valid(self) -> bool:
        return not any(found.severity is Severity.ERROR for found in self.diagnostics)


def validate_file(
    path: str,
    *,
    text: bytes | None = None,
    parameters: str | None = None,
    overrides: Mapping[str, str] | None = None,
    context: ArmContext | None = None,
) -> Checked:
    """Check the template at `path` (`text` spares reading it) with the parameters file `parameters`. Never raises."""
    report = Report(Severity.WARNING)
    loaded = list(_load(path, text, parameters, overrides or {}, context or ArmContext(), report))
    return Checked(tuple(one.template for one in loaded), report.diagnostics(), report.mask)


def plans(
    path: str,
    *,
    text: bytes | None = None,
    parameters_file: str | None = None,
    overrides: Mapping[str, str] | None = None,
    context: ArmContext | None = None,
    directory: Path | None = None,
) -> tuple[tuple[Plan, ...], tuple[Diagnostic, ...]]:
    """One plan for each image template at `path`, and the warnings. Raises TemplateError with every diagnostic.

    Relative paths in it start from `directory`, by default its own.
    """
    from imagewright.template.compile import compile_template

    report = Report(Severity.ERROR)
    loaded = list(_load(path, text, parameters_file, overrides or {}, context or ArmContext(), report))
    if report.failed:
        raise TemplateError(report.diagnostics(), report.mask)
    directory = directory or (Path() if path == "-" else Path(path).parent)
    compiled = tuple(
        compile_template(one.template, one.present, path, directory, one.context, report.mask) for one in loaded
    )
    return compiled, report.diagnostics()


@dataclass(frozen=True, slots=True)
class _Loaded:
    template: ImageTemplate
    present: Located
    context: ArmContext


def _load(
    path: str,
    text: bytes | None,
    parameters: str | None,
    overrides: Mapping[str, str],
    context: ArmContext,
    report: Report,
) -> Iterator[_Loaded]:
    document = read(path, text)
    report.extend(document.diagnostics)
    if document.broken:
        return
    from imagewright.template.ages import check_age
    from imagewright.template.cautions import caution
    from imagewright.template.find import find
    from imagewright.template.load import load
    from imagewright.template.names import present
    from imagewright.template.rules import check

    found, report.mask = find(document, parameters, overrides, context, report)
    for one in found:
        normal = present(one.located, one.version, report)
        template = load(normal, report)
        if template is not None:
            check(template, normal, one.is_body, one.context, report)
            check_age(template, normal, report)
            caution(template, normal, one.context, report)
            yield _Loaded(template, normal, one.context)
