"""Runs a whole workflow file: its jobs in their order, their matrices, what they hand to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from expressions import evaluate, interpolate
from github_runner import Runner


@dataclass
class Ran:
    """The legs of each job; a job without a matrix has one."""

    legs: dict[str, list[Runner]] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def statuses(self) -> dict[str, list[str]]:
        return {job: [leg.status for leg in legs] for job, legs in self.legs.items()}


def run_workflow(file: Path, make: Callable[[str], Runner], variables: dict[str, str], only: str = "") -> Ran:
    """`make` gives a fresh runner for a leg, by its name; `variables` are the repository's; `only` names a job."""
    workflow = yaml.safe_load(file.read_text("utf-8"))
    ran = Ran()
    for name, job in workflow["jobs"].items():
        if only and name != only:
            continue
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        if any(status != "success" for need in needs for status in ran.statuses[need]):
            continue
        contexts: dict[str, Any] = {
            "vars": variables,
            "github": {"run_id": "17", "workflow": workflow.get("name", file.name)},
            "needs": {need: {"outputs": ran.outputs[need]} for need in needs},
        }
        for number, leg in enumerate(_legs(job, contexts)):
            runner = make(f"{name}-{number}")
            contexts["github"]["workspace"] = str(runner.workspace)
            runner.job(job["steps"], **contexts, matrix=leg)
            ran.legs.setdefault(name, []).append(runner)
            outputs = {key: interpolate(text, runner.final) for key, text in (job.get("outputs") or {}).items()}
            kept = {key: text for key, text in outputs.items() if not any(mask in text for mask in runner.masked)}
            ran.outputs[name] = kept
    return ran


def _legs(job: dict[str, Any], contexts: dict[str, Any]) -> list[dict[str, Any]]:
    matrix = (job.get("strategy") or {}).get("matrix")
    if matrix is None:
        return [{}]
    if isinstance(matrix, str):
        matrix = evaluate(matrix.strip().removeprefix("${{").removesuffix("}}"), contexts)
    if "include" in matrix:
        return list(matrix["include"])
    return [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())]
