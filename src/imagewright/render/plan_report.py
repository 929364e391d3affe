"""What a build would do, as text and as JSON."""

from __future__ import annotations

from imagewright.engine.explain import PlanReport
from imagewright.render.defuse import defuse
from imagewright.render.quantities import counted, duration, size
from imagewright.render.result_json import Json, diagnostic_json


def as_text(report: PlanReport) -> list[str]:
    source = report.source
    lines = [
        f"{defuse(report.template)} on {report.platform}",
        f"source: {defuse(str(source))}" + (f" ({source.exact_version})" if source.exact_version else ""),
        f"        {source.os_type}, {source.generation}, {source.architecture}, {size(source.size)}",
        f"starts: {_start(report)}",
    ]
    validators = [f"validators: {', '.join(defuse(name) for name in report.validators)}"] if report.validators else []
    if report.source_only:
        only = "only the source is validated (sourceValidationOnly): no step is run, nothing is created"
        return [*lines, *validators, f"{only}; at most {duration(report.timeout)}"]
    lines.append("steps:")
    width = len(str(len(report.steps)))
    lines += [
        f"  {step.number:>{width}}  {'cached' if step.cached else 'run':<6}  {step.type} {defuse(step.name)}"
        for step in report.steps
    ]
    lines += [f"  then  {', '.join(report.finish)}"] if not report.disk_is_kept else []
    lines += [*validators, "creates:"]
    lines += [
        f"  {defuse(target.run_output_name)}: {target.type} {defuse(target.destination)}" for target in report.targets
    ]
    to_run = sum(not step.cached for step in report.steps)
    cached = len(report.steps) - to_run
    lines.append(f"{counted(to_run, 'step')} to run, {cached} cached; at most {duration(report.timeout)}")
    return lines


def as_json(report: PlanReport) -> Json:
    source = report.source
    return {
        "template": report.template,
        "platform": report.platform,
        "source": {
            "name": str(source),
            "version": source.exact_version,
            "identity": source.identity,
            "osType": str(source.os_type),
            "generation": str(source.generation),
            "architecture": source.architecture,
            "size": source.size,
        },
        "sourceValidationOnly": report.source_only,
        "resumesAfter": report.resumes_after,
        "diskIsKept": report.disk_is_kept,
        "steps": [
            {"number": step.number, "name": step.name, "type": step.type, "cached": step.cached, "key": step.key}
            for step in report.steps
        ],
        "finish": list(report.finish),
        "validators": list(report.validators),
        "targets": [
            {"name": target.run_output_name, "type": target.type, "destination": target.destination}
            for target in report.targets
        ],
        "timeoutSeconds": report.timeout,
        "diagnostics": [diagnostic_json(found) for found in report.diagnostics],
    }


def _start(report: PlanReport) -> str:
    if report.disk_is_kept:
        return "from the captured disk of an earlier build, nothing is run"
    if report.resumes_after is None:
        return "with a new machine"
    if report.resumes_after == 0:
        return "from a machine that was booted before"
    return f"from the checkpoint after step {report.resumes_after}"
