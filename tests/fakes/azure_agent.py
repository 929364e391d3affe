"""Executes the task as the agent of Azure Pipelines does: its environment, its handler, its signals, its commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from machine import machine
from nodes import HANDLERS
from runner_grammar import Command, azure_commands
from runner_process import Ended, run_to_end


@dataclass(frozen=True)
class Ran(Ended):
    """One handler that ran."""

    @property
    def commands(self) -> list[Command]:
        return azure_commands(self.log)

    @property
    def result(self) -> str:
        """`Succeeded` unless the handler said otherwise, or broke."""
        said = [each.properties["result"] for each in self.commands if each.name == "task.complete"]
        return said[-1] if said else ("Succeeded" if self.code == 0 else "Failed")

    @property
    def issues(self) -> list[str]:
        return [
            each.message
            for each in self.commands
            if each.name == "task.logissue" and each.properties["type"] == "error"
        ]


@dataclass
class Agent:
    """One job on one agent. The task's folder is `task`, its inputs are given by name; `handler` is of task.json.

    `connections` are the project's service connections, by name: the agent gets their ids.
    """

    root: Path
    task: Path
    environment: dict[str, str] = field(default_factory=dict)
    cancel_when: Callable[[str], bool] | None = None
    cancel_group: bool = False
    connections: dict[str, str] = field(default_factory=dict)
    handler: str = "Node20_1"
    variables: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temp, self.sources = self.root / "_temp", self.root / "s"
        for directory in (self.temp, self.sources):
            directory.mkdir(parents=True, exist_ok=True)

    def run(self, inputs: Mapping[str, str] | None = None, **more: str) -> Ran:
        return self._handle("execution", {**(inputs or {}), **more})

    def after(self, inputs: Mapping[str, str] | None = None, **more: str) -> Ran:
        """The handler of postjobexecution, with the same inputs."""
        return self._handle("postjobexecution", {**(inputs or {}), **more})

    def _handle(self, phase: str, inputs: Mapping[str, str]) -> Ran:
        manifest = json.loads((self.task / "task.json").read_text("utf-8"))
        target = self.task / manifest[phase][self.handler]["target"]
        defaults = {each["name"]: str(each.get("defaultValue", "")) for each in manifest["inputs"]}
        kinds = {each["name"]: each["type"] for each in manifest["inputs"]}
        given = {
            name: self.connections.get(value, value) if kinds.get(name, "").startswith("connectedService") else value
            for name, value in {**defaults, **inputs}.items()
        }
        names = {name: re.sub(r"[. ]", "_", name).upper() for name in given}
        environment = {
            **machine(),
            "TF_BUILD": "True",
            "AGENT_TEMPDIRECTORY": str(self.temp),
            "AGENT_TOOLSDIRECTORY": str(self.root / "_tool"),
            "AGENT_OS": "Linux",
            "SYSTEM_DEFAULTWORKINGDIRECTORY": str(self.sources),
            "BUILD_SOURCESDIRECTORY": str(self.sources),
            "SYSTEM_HOSTTYPE": "build",
            "SYSTEM_COLLECTIONURI": "https://dev.azure.example/octo/",
            "SYSTEM_TEAMPROJECT": "shop",
            "BUILD_BUILDID": "42",
            "SYSTEM_JOBATTEMPT": "1",
            "VSTS_PUBLIC_VARIABLES": json.dumps(["system.hostType", "input.of.mine"]),
            "INPUT_OF_MINE": "a pipeline variable",
            **self.environment,
            **{f"INPUT_{names[name]}": value for name, value in given.items() if value},
        }
        ended = run_to_end(
            [HANDLERS[self.handler](), str(target)],
            self.sources,
            environment,
            self.root / "log",
            self.cancel_when,
            group=self.cancel_group,
        )
        self.cancel_when = None if ended.signals else self.cancel_when
        ran = Ran(ended.code, ended.log, ended.asked, ended.seconds, ended.signals)
        self._obey(ran.commands, {each["name"].lower() for each in manifest["outputVariables"]})
        return ran

    def _obey(self, commands: list[Command], declared: set[str]) -> None:
        """What the task declares as output variables is never a plain variable, however it is set."""
        for command in commands:
            name = command.properties.get("variable", "")
            match command.name:
                case "task.setvariable" if command.properties.get("isoutput") == "true" or name.lower() in declared:
                    self.outputs[name] = command.message
                case "task.setvariable":
                    self.variables[name] = command.message
                case "task.uploadsummary":
                    self.summaries.append(Path(command.message).read_text("utf-8"))
                case "task.setsecret":
                    self.secrets.append(command.message)
                case "build.addbuildtag":
                    assert ":" not in command.message
                    self.tags.append(command.message)
