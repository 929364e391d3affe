"""`validate`: every finding about template files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.app.planned import context_of, given
from imagewright.core.unknown import Unknown
from imagewright.options import Options

if TYPE_CHECKING:
    from imagewright.core.report import FileReport


def validate(options: Options, *, stdin: bytes = b"") -> tuple[FileReport, ...]:
    """Every finding about each file. No network, no SDK."""
    return tuple(_checked(file, options, stdin) for file in options.templates)


def _checked(file: str, options: Options, stdin: bytes) -> FileReport:
    from imagewright.core.report import FileReport
    from imagewright.template import validate_file

    checked = validate_file(
        file,
        text=given(file, stdin),
        parameters=str(options.parameters) if options.parameters else None,
        overrides=dict(options.overrides),
        context=context_of(options),
    )
    names = tuple(_name(template.name, file) for template in checked.templates)
    return FileReport(file, tuple(map(checked.mask, names)), checked.diagnostics, checked.mask)


def _name(name: str | Unknown, file: str) -> str:
    return "" if isinstance(name, Unknown) else name or Path(file).stem
