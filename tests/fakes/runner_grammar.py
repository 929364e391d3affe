"""What the two runners read out of a log and out of their files, by the rules of their own sources."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Command:
    name: str
    message: str
    properties: dict[str, str] = field(default_factory=dict)


# --- GitHub (actions/runner: ActionCommand, ActionCommandManager, FileCommandManager) ---

GITHUB_COMMANDS = frozenset(
    {"set-env", "set-output", "save-state", "add-mask", "add-path", "add-matcher", "remove-matcher", "debug"}
    | {"warning", "error", "notice", "group", "endgroup", "echo", "internal-set-repo-path", "stop-commands"}
)


def github_commands(log: str, *, whole: bool = True) -> list[Command]:
    """What the runner obeys: a `::name props::message` at the beginning of a line, or an old `##[name]` anywhere.

    The log of a process that was killed is not `whole`.
    """
    obeyed: list[Command] = []
    stopped = ""
    for line in re.split(r"\r\n|\r|\n", log):
        command = _github(line)
        if command is None:
            continue
        if stopped:
            if command.name.lower() == stopped.lower():
                stopped = ""
            continue
        if command.name == "stop-commands":
            stopped = command.message
            continue
        if command.name in GITHUB_COMMANDS:
            obeyed.append(command)
    assert not (stopped and whole), "the commands were never started again"
    return obeyed


def _github(line: str) -> Command | None:
    text = line.lstrip()
    if text.startswith("::"):
        end = text.find("::", 2)
        if end < 0:
            return None
        name, _, rest = text[2:end].partition(" ")
        properties = dict(pair.split("=", 1) for pair in rest.strip().split(",") if "=" in pair)
        data = text[end + 2 :]
        return Command(name, _github_data(data), {key: _github_property(value) for key, value in properties.items()})
    old = re.search(r"##\[([^\]\s]+)[^\]]*\](.*)", line)
    return Command(old.group(1), old.group(2)) if old else None


def _github_data(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _github_property(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def github_file(file: Path) -> dict[str, str]:
    """GITHUB_OUTPUT and its like. Raises ValueError where the runner would fail the step."""
    values: dict[str, str] = {}
    text = file.read_text("utf-8")
    if text and not text.endswith("\n"):
        raise ValueError("EOF marker missing new line")
    lines = iter(text.splitlines())
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            values[line[:equals]] = line[equals + 1 :]
        elif heredoc >= 0:
            name, delimiter = line[:heredoc], line[heredoc + 2 :]
            if not name or not delimiter:
                raise ValueError(f"Invalid format '{line}'")
            value = []
            for inner in lines:
                if inner == delimiter:
                    break
                value.append(inner)
            else:
                raise ValueError(f"Matching delimiter not found '{delimiter}'")
            values[name] = "\n".join(value)
        else:
            raise ValueError(f"Invalid format '{line}'")
    return values


# --- Azure Pipelines (microsoft/azure-pipelines-agent: Command.TryParse) ---


def azure_commands(log: str) -> list[Command]:
    """What the agent obeys: `##vso[area.event key=value;]message`, anywhere in a line."""
    commands = []
    for line in re.split(r"\r\n|\r|\n", log):
        start = line.lower().find("##vso[")
        if start < 0:
            continue
        end = line.find("]", start)
        if end < 0:
            continue
        name, _, rest = line[start + 6 : end].partition(" ")
        if "." not in name:
            continue
        properties = dict(pair.split("=", 1) for pair in rest.split(";") if "=" in pair)
        decoded = {key.strip().lower(): _azure(value) for key, value in properties.items()}
        commands.append(Command(name, _azure(line[end + 1 :]), decoded))
    return commands


def _azure(text: str) -> str:
    for code, character in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
        text = text.replace(code, character)
    return text
