"""How a build ended, in the lines that every renderer for people ends with."""

from __future__ import annotations

from imagewright.core.result import BuildResult, Failure, RunOutput, RunState
from imagewright.render.defuse import defuse
from imagewright.render.excerpt import Excerpts
from imagewright.render.quantities import counted, duration

_WORDS = {
    RunState.SUCCEEDED: "succeeded",
    RunState.PARTIALLY_SUCCEEDED: "partially succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELED: "was cancelled",
    RunState.CANCELING: "is being cancelled",
    RunState.RUNNING: "is running",
}


def outcome(result: BuildResult, excerpts: Excerpts) -> list[str]:
    """What came out; what went wrong, where and what to do; what is still there."""
    lines: list[str] = []
    if result.failure is not None:
        lines += ["", *failure(result.failure, excerpts)]
    for missed in result.target_failures if result.state is RunState.PARTIALLY_SUCCEEDED else ():
        lines += failure(missed, excerpts)
    lines += [f"{excerpts.paint.warning('left behind')}: {defuse(name)}" for name in result.left_behind]
    if result.left_behind:
        lines += excerpts.hint("run `imagewright cleanup` to delete it")
    lines += [f"kept: {defuse(name)}" for name in result.kept]
    lines += [f"log: {result.log}"] if result.log and result.failure is not None else []
    lines += [_verdict(result, excerpts)]
    lines += [f"  {defuse(output.name)}: {artifact(output)}" for output in result.run_outputs]
    return lines


def failure(failure: Failure, excerpts: Excerpts) -> list[str]:
    """One failure: the message, its place in the template, the guest's last words, the hint."""
    lines = excerpts.error(failure.message, failure.origin)
    if failure.output:
        lines += ["last output:", *(f"  | {defuse(line)}".rstrip() for line in failure.output)]
    return lines + excerpts.hint(failure.hint)


def artifact(output: RunOutput) -> str:
    """Where a result is: the path or URL of a file, else the id of a resource."""
    return defuse(output.artifact_uri or output.artifact_id or output.name)


def _verdict(result: BuildResult, excerpts: Excerpts) -> str:
    word = _WORDS[result.state]
    good = result.state is RunState.SUCCEEDED
    cached = sum(step.cached for step in result.steps)
    steps = f", {counted(len(result.steps), 'step')}" if result.steps else ""
    kept = f" ({cached} cached)" if cached else ""
    painted = excerpts.paint.good(word) if good else excerpts.paint.error(word)
    return f"build of {defuse(result.template)} {painted} after {duration(result.seconds)}{steps}{kept}"
