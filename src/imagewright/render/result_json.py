"""A build's result as the JSON of `--result`: written in one piece, after success, failure and cancellation alike."""

from __future__ import annotations

import json
import os
from pathlib import Path

from imagewright.core.errors import Diagnostic, OptionsError
from imagewright.core.files import oddity, write_whole
from imagewright.core.origin import Origin
from imagewright.core.result import BuildResult, Failure, RunOutput

Json = dict[str, object]


def result_json(result: BuildResult) -> Json:
    """`{"state", "runOutputs", "source", "steps", "phases", "error", ...}`; `error` is null after success."""
    return {
        "state": str(result.state),
        "runOutputs": [_output(output) for output in result.run_outputs],
        "source": result.source,
        "steps": [
            {"name": step.name, "type": step.type, "cached": step.cached, "seconds": round(step.seconds, 3)}
            for step in result.steps
        ],
        "phases": [{"name": str(phase.phase), "seconds": round(phase.seconds, 3)} for phase in result.phases],
        "error": failure_json(result.failure) if result.failure else None,
        "targetErrors": [failure_json(each) for each in result.target_failures],
        "buildId": result.build_id,
        "template": result.template,
        "platform": result.platform,
        "started": result.started.isoformat() if result.started else None,
        "seconds": round(result.seconds, 3),
        "leftBehind": list(result.left_behind),
        "kept": list(result.kept),
        "log": result.log,
    }


def failure_json(failure: Failure) -> Json:
    return {
        "kind": failure.kind,
        "message": failure.message,
        "hint": failure.hint,
        "exitCode": failure.exit_code,
        **(origin_json(failure.origin) if failure.origin else {}),
        "output": list(failure.output),
    }


def diagnostic_json(found: Diagnostic) -> Json:
    return {
        "severity": str(found.severity),
        "code": found.code,
        "message": found.message,
        "hint": found.hint,
        **origin_json(found.origin),
    }


def origin_json(origin: Origin) -> Json:
    return {"file": origin.file, "pointer": origin.pointer, "line": origin.line, "column": origin.column}


def write_result(result: BuildResult, file: Path) -> None:
    """Put the result into `file`, whole or not at all. Raises OptionsError when it cannot be written."""
    text = json.dumps(result_json(result), indent=2) + "\n"
    try:
        if odd := oddity(file):
            raise OptionsError(f"`--result`: {file} is {odd}", hint="name a file that may be written anew")
        file = Path(os.path.realpath(file))  # the file behind a link is written, not the link
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    except OSError as error:
        raise OptionsError(
            f"`--result`: {file} cannot be written: {error.strerror}", hint="choose another place"
        ) from error


def _output(output: RunOutput) -> Json:
    return {
        "name": output.name,
        "artifactId": output.artifact_id,
        "artifactUri": output.artifact_uri,
        "version": output.version,
        "regions": list(output.regions),
    }
