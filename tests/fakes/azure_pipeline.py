"""Runs a whole pipeline file of Azure Pipelines: stages, jobs, matrices, variables, and what they hand on."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from azure_agent import Agent
from machine import carry, machine
from runner_grammar import azure_commands


@dataclass
class Ran:
    """Logs and results by job, outputs by stage and job: `{"step.name": value}`."""

    logs: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)


def run_pipeline(
    file: Path, make: Callable[[str], Agent], variables: dict[str, str], cache: Path | None = None
) -> Ran:
    """`make` gives a fresh agent for a job, by its name; `variables` are the pipeline's; `cache` outlives agents."""
    pipeline = yaml.safe_load(file.read_text("utf-8"))
    ran = Ran()
    for stage in pipeline.get("stages") or [{"stage": "", "jobs": pipeline["jobs"]}]:
        outputs = ran.outputs.setdefault(stage["stage"], {})
        for job in stage["jobs"]:
            name = job["job"]
            for leg, more in _legs(job, ran, stage["stage"]).items():
                agent = make(f"{name}{leg}")
                own = {key: _runtime(text, ran, stage["stage"]) for key, text in (job.get("variables") or {}).items()}
                given = {"System.DefaultWorkingDirectory": str(agent.sources), **variables, **own, **more}
                _Job(agent, given, ran, f"{name}{leg}", cache).run(job["steps"])
                outputs[name] = ran.agents[f"{name}{leg}"].outputs
    return ran


@dataclass
class _Job:
    agent: Agent
    variables: dict[str, str]
    ran: Ran
    name: str
    cache: Path | None

    def run(self, steps: list[dict[str, Any]]) -> None:
        outputs: dict[str, str] = {}
        cached: list[Path] = []
        log, result = "", "Succeeded"
        for step in steps:
            if result != "Succeeded" or not self._wanted(step.get("condition", "")):
                continue
            identity = step.get("name", "")
            self.agent.outputs = {}
            if "script" in step:
                text, result = self._script(self._expanded(step["script"]))
                log += text
            elif str(step.get("task", "")).startswith("Imagewright@"):
                done = self.agent.run({key: self._expanded(value) for key, value in step["inputs"].items()})
                log, result = log + done.log, done.result
                self.variables |= self.agent.variables
            elif step.get("task") == "Cache@2" and self.cache:
                cached.append(Path(self._expanded(step["inputs"]["path"])))
                carry(self.cache, cached[-1])
            found = {f"{identity}.{key}": value for key, value in self.agent.outputs.items()}
            outputs |= found
            self.variables |= found
        for path in cached if result == "Succeeded" else ():
            assert self.cache is not None
            carry(path, self.cache)
        self.agent.outputs = outputs
        self.ran.logs[self.name], self.ran.results[self.name] = log, result
        self.ran.agents[self.name] = self.agent

    def _script(self, script: str) -> tuple[str, str]:
        environment = {**machine(), **self.agent.environment, "TF_BUILD": "True"}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", script],
            check=False,
            cwd=self.agent.sources,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in azure_commands(done.stdout):
            if command.name == "task.setvariable":
                self.agent.outputs[command.properties["variable"]] = command.message
        return done.stdout, "Succeeded" if done.returncode == 0 else "Failed"

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$\(([\w.]+)\)", lambda found: self.variables.get(found.group(1), found.group(0)), str(text))

    def _wanted(self, condition: str) -> bool:
        for name, wanted in re.findall(r"eq\(variables\['([\w.]+)'\], '([^']*)'\)", condition):
            if self.variables.get(name, "").lower() != wanted.lower():
                return False
        return True


def _legs(job: dict[str, Any], ran: Ran, stage: str) -> dict[str, dict[str, str]]:
    matrix = (job.get("strategy") or {}).get("matrix")
    if matrix is None:
        return {"": {}}
    legs = json.loads(_runtime(matrix, ran, stage)) if isinstance(matrix, str) else matrix
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name) for name in legs), (
        "a leg's name begins with a letter"
    )
    return {f" {name}": values for name, values in legs.items()}


def _runtime(text: str, ran: Ran, stage: str) -> str:
    found = re.fullmatch(r"\$\[ (stageDependencies\.(\w+)|dependencies)\.(\w+)\.outputs\['([\w.]+)'\] \]", str(text))
    if found is None:
        return str(text)
    return ran.outputs[found.group(2) or stage][found.group(3)].get(found.group(4), "")
