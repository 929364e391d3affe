"""The page that a pipeline shows beside its log: what came out, from what, in which steps, at what cost of time.

GitHub and Azure Pipelines both take Markdown; only what both understand is used. Whatever comes from a template or
from a guest is escaped: it can neither break the table nor bring HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from imagewright.core.result import BuildResult, Failure, RunOutput, RunState
from imagewright.engine.explain import PlanReport
from imagewright.render.defuse import defuse
from imagewright.render.plan_report import as_text
from imagewright.render.quantities import counted, duration

LONGEST = 200 * 1024
"""Bytes: GitHub drops what is over 1 MiB in a step, and other parts of the step may write too."""

STEPS = 200
OUTPUT_LINES = 40

_SIGNS = {
    RunState.SUCCEEDED: "✅",
    RunState.PARTIALLY_SUCCEEDED: "⚠️",
    RunState.FAILED: "❌",
    RunState.CANCELED: "🚫",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~@])")


def build_summary(result: BuildResult, *, run_url: str = "") -> str:
    """The page of a build."""
    cached = sum(step.cached for step in result.steps)
    took = f"{result.state} after {duration(result.seconds)}"
    took += f", {cached} of {counted(len(result.steps), 'step')} from the cache" if cached else ""
    parts = [
        [f"## {_SIGNS.get(result.state, '')} {escaped(result.template or 'Image')}".replace("  ", " "), "", took],
        _facts(result, run_url),
        _images(result.run_outputs),
        *(_failure(failure) for failure in filter(None, (result.failure, *result.target_failures[1:]))),
        _left(result),
        _times(result),
    ]
    return capped("\n\n".join("\n".join(part) for part in parts if part) + "\n")


def plan_summary(report: PlanReport) -> str:
    """The page of a dry run."""
    return capped(f"## Plan: {escaped(report.template)}\n\nNothing was created.\n\n{fenced(as_text(report))}\n")


def skipped_summary(template: str, source: str) -> str:
    """The page of a build that was not needed."""
    return (
        f"## ⏭️ {escaped(template)}\n\nSkipped: the last image was built from {code(source)}, which is the newest.\n"
    )


def capped(text: str, longest: int = LONGEST) -> str:
    """At most `longest` bytes; what was cut is said, and no code block stays open."""
    raw = text.encode()
    if len(raw) <= longest:
        return text
    kept = raw[:longest].decode(errors="ignore").rpartition("\n")[0]
    fence = "\n```" if kept.count("\n```") % 2 else ""
    return f"{kept}{fence}\n\n… the rest is in the log\n"


def escaped(text: str) -> str:
    """One line of a stranger's text, as text."""
    return _MARKDOWN.sub(r"\\\1", html.escape(defuse(text), quote=False))


def code(text: str) -> str:
    """One line of a stranger's text as code, also inside a table."""
    plain = _MARKDOWN.sub(lambda sign: f"&#{ord(sign.group())};", html.escape(defuse(text), quote=False))
    return f"<code>{plain}</code>" if text else ""


def fenced(lines: Iterable[str]) -> str:
    """Lines of a stranger as a block of code."""
    shown = [defuse(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *shown, fence])


def _facts(result: BuildResult, run_url: str) -> list[str]:
    rows = [
        ("Source", code(result.source)),
        ("Platform", escaped(result.platform)),
        ("Build", code(result.build_id)),
        ("Log", f"[the run]({run_url})" if run_url else ""),
        ("Log file", code(result.log)),
    ]
    return _table(("", ""), [row for row in rows if row[1]])


def _images(outputs: Sequence[RunOutput]) -> list[str]:
    rows = [
        (
            escaped(output.name),
            code(output.artifact_id or output.artifact_uri),
            escaped(output.version),
            escaped(", ".join(output.regions)),
        )
        for output in outputs
    ]
    return ["### Images", "", *_table(("Run output", "Image", "Version", "Regions"), rows)] if rows else []


def _failure(failure: Failure) -> list[str]:
    lines = ["### What went wrong", "", escaped(failure.message)]
    if failure.origin is not None:
        lines += ["", f"At {code(str(failure.origin))}"]
    if failure.hint:
        lines += ["", f"Hint: {escaped(failure.hint)}"]
    if failure.output:
        lines += ["", fenced(failure.output[-OUTPUT_LINES:])]
    return lines


def _left(result: BuildResult) -> list[str]:
    lines = [f"- left behind: {code(name)}" for name in result.left_behind]
    return [*lines, *(f"- kept: {code(name)}" for name in result.kept)]


def _times(result: BuildResult) -> list[str]:
    steps = [
        (str(number), escaped(step.type), escaped(step.name), "cached" if step.cached else duration(step.seconds))
        for number, step in enumerate(result.steps[:STEPS], 1)
    ]
    phases = [(str(phase.phase), duration(phase.seconds)) for phase in result.phases]
    lines: list[str] = []
    if steps:
        lines += ["### Steps", "", *_table(("", "Type", "Name", "Time"), steps), ""]
        lines += [f"… and {len(result.steps) - STEPS} more", ""] if len(result.steps) > STEPS else []
    return lines + (["### Phases", "", *_table(("Phase", "Time"), phases)] if phases else [])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)] if rows else []
