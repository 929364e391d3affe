"""Executes steps as GitHub's runner does: its environment, its file commands, its shells, its signals."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from expressions import evaluate, interpolate
from machine import carry, machine
from runner_grammar import Command, github_commands, github_file
from runner_process import Ended, run_to_end

BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")


@dataclass(frozen=True)
class Done(Ended):
    """What came of one step."""

    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def commands(self) -> list[Command]:
        return github_commands(self.log)


@dataclass
class Runner:
    """One job on one runner. `cancel_when` is asked with the log so far; true stops the running step, by a signal
    to its process or to its whole group. `cache` is the service's, which outlives runners."""

    root: Path
    environment: dict[str, str]
    actions: dict[str, Path] = field(default_factory=dict)
    cancel_when: Callable[[str], bool] | None = None
    cancel_group: bool = False
    status: str = "success"
    contexts: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Done] = field(default_factory=dict)
    summary: str = ""
    masked: list[str] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    cache: Path | None = None

    def __post_init__(self) -> None:
        self.temp = self.root / "_temp"
        self.workspace = self.root / "workspace"
        for directory in (self.temp, self.workspace):
            directory.mkdir(parents=True, exist_ok=True)
        self._files = 0
        self._cached: list[str] = []

    @property
    def log(self) -> str:
        return "".join(done.log for done in self.steps.values())

    def job(self, steps: list[dict[str, Any]], **contexts: Any) -> str:
        """Run the steps of a job; returns its status."""
        self.contexts |= contexts
        self.final = self._contexts({})
        for number, step in enumerate(steps):
            self._step(step, f"step-{number}", self.final, self.workspace)
        for path in self._cached:
            carry(self.workspace / path, self._kept(path))
        return self.status

    def outputs(self, step: str) -> dict[str, str]:
        return self.steps[step].outputs

    def _step(self, step: Mapping[str, Any], name: str, contexts: dict[str, Any], action_path: Path) -> None:
        condition = str(step.get("if", "success()")).removeprefix("${{").removesuffix("}}")
        always = any(word in condition for word in ("always()", "failure()", "cancelled()"))
        if not evaluate(condition, contexts) or (self.status != "success" and not always):
            return
        identity = str(step.get("id", name))
        environment = {key: interpolate(value, contexts) for key, value in {**(step.get("env") or {})}.items()}
        if "uses" in step:
            self._uses(step, identity, contexts, environment)
            return
        done = self._run(interpolate(step["run"], contexts), {**environment, "GITHUB_ACTION_PATH": str(action_path)})
        self.steps[identity] = done
        contexts["steps"][identity] = {"outputs": done.outputs}
        if done.code != 0:
            self.status = "cancelled" if done.signals else "failure"

    def _uses(
        self, step: Mapping[str, Any], identity: str, contexts: dict[str, Any], environment: dict[str, str]
    ) -> None:
        uses = str(step["uses"]).partition("@")[0]
        if uses == "actions/cache" and self.cache:
            self._cached = [str(line).strip() for line in step["with"]["path"].splitlines()]
            for path in self._cached:
                carry(self._kept(path), self.workspace / path)
        if uses not in self.actions:
            self.steps[identity] = Done(0, f"(passed over: {uses})\n")
            return
        path = self.actions[uses]
        action = yaml.safe_load((path / "action.yml").read_text("utf-8"))
        declared = {name: str(each.get("default", "")) for name, each in action["inputs"].items()}
        given = {name: interpolate(value, contexts) for name, value in (step.get("with") or {}).items()}
        unexpected = sorted(set(given) - set(declared))
        log = f"Unexpected input(s) {unexpected}\n" if unexpected else ""
        inner = self._contexts({**declared, **given})
        inner["github"] = {**contexts.get("github", {}), "action_path": str(path)}
        before = set(self.steps)
        for number, each in enumerate(action["runs"]["steps"]):
            self._step(
                {**each, "env": {**environment, **(each.get("env") or {})}}, f"{identity}.{number}", inner, path
            )
        mine = [self.steps[name] for name in self.steps if name not in before]
        outputs = {name: interpolate(each["value"], inner) for name, each in action["outputs"].items()}
        for name in [name for name in self.steps if name not in before]:
            self.steps[f"{identity}/{name}"] = self.steps.pop(name)
        worst = next((done.code for done in mine if done.code), 0)
        self.steps[identity] = Done(worst, log, outputs=outputs)
        contexts["steps"][identity] = {"outputs": outputs}

    def _kept(self, path: str) -> Path:
        assert self.cache is not None
        return self.cache / path.replace("/", "-")

    def _contexts(self, inputs: Mapping[str, str]) -> dict[str, Any]:
        return {
            "inputs": dict(inputs),
            "steps": {},
            "runner": {"temp": str(self.temp), "os": "Linux"},
            "job": _Status(self),
            **self.contexts,
        }

    def _run(self, script: str, environment: dict[str, str]) -> Done:
        self._files += 1
        names = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
        files = {name: self.temp / "_runner_file_commands" / f"{name.lower()}_{self._files}" for name in names}
        for file in files.values():
            file.parent.mkdir(exist_ok=True)
            file.touch()
        body = self.temp / f"script-{self._files}.sh"
        body.write_text(script + "\n")
        variables = {
            **self.environment,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            **environment,
            **{name: str(file) for name, file in files.items()},
        }
        ended = run_to_end(
            [*BASH, str(body)],
            self.workspace,
            variables,
            self.temp / f"log-{self._files}",
            self.cancel_when,
            group=self.cancel_group,
        )
        self.cancel_when = None if ended.signals else self.cancel_when
        masks = [command.message for command in github_commands(ended.log, whole=False) if command.name == "add-mask"]
        self.masked += masks
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text("utf-8")
        self.environment |= github_file(files["GITHUB_ENV"])
        added = [line for line in files["GITHUB_PATH"].read_text("utf-8").splitlines() if line]
        if added:
            self.environment["PATH"] = os.pathsep.join([*reversed(added), self.environment["PATH"]])
        outputs = github_file(files["GITHUB_OUTPUT"])
        return Done(ended.code, ended.log, ended.asked, ended.seconds, ended.signals, outputs)


class _Status(dict[str, str]):
    """`job.status`, looked up when it is asked for."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner

    def __getitem__(self, key: str) -> str:
        return self._runner.status

    def get(self, key: str, default: Any = None) -> Any:
        return self._runner.status if key == "status" else default


def base_environment(**more: str) -> dict[str, str]:
    """What a runner gives every step: no more of ours than a machine has."""
    return {
        **machine(),
        "GITHUB_REPOSITORY": "octo/images",
        "GITHUB_RUN_ID": "17",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "image",
        "GITHUB_SHA": "0123456789abcdef",
        "GITHUB_SERVER_URL": "https://github.example",
        "RUNNER_ENVIRONMENT": "github-hosted",
        **more,
    }
