"""The answers of the small commands as text: a list of lines each, the last one is the summary."""

from __future__ import annotations

from collections.abc import Sequence

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.ports import Kept
from imagewright.core.report import Check, CleanupReport, FileReport, Verdict
from imagewright.render.defuse import defuse, no_command
from imagewright.render.excerpt import Excerpts
from imagewright.render.paint import Paint
from imagewright.render.quantities import counted, size


def validated(reports: Sequence[FileReport], excerpts: Excerpts, *, quiet: bool = False) -> list[str]:
    lines: list[str] = []
    for report in reports:
        for found in report.diagnostics:
            lines += [*excerpts.diagnostic(found), ""]
        if report.valid and not quiet:
            names = ", ".join(defuse(name) for name in report.templates if name)
            file = no_command(defuse(report.file))
            lines.append(f"{file}: {excerpts.paint.good('valid')}{f': {names}' if names else ''}")
    invalid = sum(not report.valid for report in reports)
    verdict = f"{counted(invalid, 'invalid file')} of {len(reports)}" if invalid else _all_valid(len(reports))
    return [*lines, verdict + findings(tuple(found for report in reports for found in report.diagnostics))]


def findings(found: Sequence[Diagnostic]) -> str:
    """`: 2 errors, 1 warning`, or nothing."""
    errors = sum(each.severity is Severity.ERROR for each in found)
    counts = [(errors, "error"), (len(found) - errors, "warning")]
    said = ", ".join(counted(number, noun) for number, noun in counts if number)
    return f": {said}" if said else ""


def cleaned(report: CleanupReport, paint: Paint) -> list[str]:
    running = [
        f"build {build} is still running and was left alone; {paint.hint('hint')}: `--force` deletes what it owns"
        for build in report.running
    ]
    left = [
        f"{paint.warning('left behind')}: {defuse(str(each.owned))}: {defuse(each.reason)}" for each in report.left
    ]
    if not (report.deleted or report.left):
        return [*running, "nothing to clean up"]
    still = f", {len(report.left)} left behind" if report.left else ""
    return [*running, *left, f"{counted(len(report.deleted), 'thing')} deleted{still}"]


def kept(entries: Sequence[Kept]) -> list[str]:
    total = f"{counted(len(entries), 'checkpoint')}, {size(sum(each.size for each in entries))}"
    return [*_table(entries), total]


def pruned(entries: Sequence[Kept]) -> list[str]:
    if not entries:
        return ["nothing is over the limits"]
    freed = size(sum(each.size for each in entries))
    return [*_table(entries), f"{counted(len(entries), 'checkpoint')} deleted, {freed} freed"]


def checked(checks: Sequence[Check], paint: Paint) -> list[str]:
    colours = {Verdict.GOOD: paint.good, Verdict.POOR: paint.warning, Verdict.BAD: paint.error}
    width = max((len(check.name) for check in checks), default=0)
    lines: list[str] = []
    for check in checks:
        lines.append(f"{colours[check.verdict](f'{check.verdict:<4}')}  {check.name:<{width}}  {check.message}")
        lines += [f"      {paint.hint('hint')}: {check.hint}"] if check.hint else []
    bad = sum(check.verdict is Verdict.BAD for check in checks)
    missing = f"{counted(bad, 'thing')} must be put right before this machine can build"
    return [*lines, missing if bad else "this machine can build"]


def _all_valid(number: int) -> str:
    return "the file is valid" if number == 1 else f"all {number} files are valid"


def _table(entries: Sequence[Kept]) -> list[str]:
    rows = [("KEY", "KIND", "SIZE", "LAST USED", "WHAT")]
    rows += [
        (each.key[:12], each.kind, size(each.size), f"{each.used:%Y-%m-%d %H:%M}", defuse(each.note))
        for each in sorted(entries, key=lambda one: one.used, reverse=True)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]) for row in rows
    ]
