"""The answers of the small commands as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from imagewright.core.ports import Kept
from imagewright.core.report import Check, FileReport
from imagewright.render.result_json import Json, diagnostic_json


def validated(reports: Sequence[FileReport]) -> list[Json]:
    return [
        {
            "file": report.file,
            "valid": report.valid,
            "templates": [name for name in report.templates if name],
            "diagnostics": [diagnostic_json(found) for found in report.diagnostics],
        }
        for report in reports
    ]


def kept(entries: Sequence[Kept]) -> list[Json]:
    return [
        {
            "key": each.key,
            "kind": each.kind,
            "note": each.note,
            "size": each.size,
            "created": each.created.isoformat(),
            "used": each.used.isoformat(),
            "expires": each.expires.isoformat() if each.expires else None,
            "parent": each.parent,
        }
        for each in entries
    ]


def checked(checks: Sequence[Check]) -> list[Json]:
    return [
        {"name": check.name, "verdict": str(check.verdict), "message": check.message, "hint": check.hint}
        for check in checks
    ]
