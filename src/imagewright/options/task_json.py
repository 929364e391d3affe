"""`task.json`: the Azure Pipelines task, made from the table."""

from __future__ import annotations

import json
import re

from imagewright.options.outputs import OUTPUTS
from imagewright.options.pipeline import INPUTS
from imagewright.options.row import Group, Kind, Option, described

TASK_ID = "6d1f2c1e-7c0d-4b0e-9a53-3f0e6a0d9b57"
FORMER = "former"
OPEN = (Group.TEMPLATE, Group.SIGN_IN, Group.BUILD)
"""The groups that the task's form shows unfolded."""

Json = dict[str, object]

_TYPES = {
    Kind.STRING: "string",
    Kind.PATH: "string",  # filePath would turn "not given" into the sources directory
    Kind.BOOLEAN: "boolean",
    Kind.INTEGER: "string",
    Kind.CHOICE: "pickList",
    Kind.SIZE: "string",
    Kind.AGE: "string",
    Kind.ASSIGNMENT: "multiLine",
}


def task_json(version: str) -> str:
    """The whole file; `version` is the package's, `1.2.3`."""
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    task: Json = {
        "$schema": "https://raw.githubusercontent.com/Microsoft/azure-pipelines-task-lib/master/tasks.schema.json",
        "id": TASK_ID,
        "name": "Imagewright",
        "friendlyName": "Build an Azure VM image",
        "description": "Builds an Azure VM image from an Image Builder template, in Azure or on the agent",
        "helpMarkDown": "Every input is described in docs/reference/pipeline.md of Imagewright.",
        "category": "Deploy",
        "author": "Imagewright",
        "version": {"Major": major, "Minor": minor, "Patch": patch},
        "visibility": ["Build", "Release"],
        "runsOn": ["Agent", "DeploymentGroup"],
        "minimumAgentVersion": "4.248.0",
        "instanceNameFormat": "Build an image of $(template)",
        "groups": _groups(),
        "inputs": [*(_input(option, option.task_input) for option in _offered()), *_former()],
        "outputVariables": [
            {"name": output.task_output, "description": _sentence(output.help)}
            for output in OUTPUTS
            if output.declared
        ],
        "execution": _handlers("index.js"),
        "postjobexecution": _handlers("post.js"),
    }
    return json.dumps(task, indent=2) + "\n"


def _offered() -> list[Option]:
    """The rows in the order of their groups: the form shows them so."""
    order = list(Group)
    return sorted((option for option in INPUTS if option.task), key=lambda one: order.index(one.group))


def _groups() -> list[Json]:
    used = {option.group for option in _offered()}
    groups: list[Json] = [
        {"name": _group(group), "displayName": _capital(str(group)), "isExpanded": group in OPEN}
        for group in Group
        if group in used
    ]
    return [*groups, {"name": FORMER, "displayName": "Names of AzureImageBuilderTask@1", "isExpanded": False}]


def _input(option: Option, name: str) -> Json:
    entry: Json = {"name": name, "type": _type(option), "label": _label(option)}
    entry |= {"required": False, "helpMarkDown": _sentence(_spoken(option)), "groupName": _group(option.group)}
    if option.visible:
        entry["visibleRule"] = option.visible
    if option.kind is Kind.CHOICE:
        entry["options"] = {value: value for value in option.values}
        entry["properties"] = {"EditableOptions": "True"}
    return entry


def _spoken(option: Option) -> str:
    """The help, in which the names of other inputs are spelled as the task spells them."""
    names = {each.github_input: each.task_input for each in _offered() if each.github_input}
    return re.sub(r"`([a-z-]+)`", lambda found: f"`{names.get(found[1], found[1])}`", described(option))


def _former() -> list[Json]:
    return [
        _input(option, name)
        | {
            "label": f"{_label(option)} ({name})",
            "helpMarkDown": f"The same as `{option.task_input}`.",
            "groupName": FORMER,
        }
        for option in _offered()
        for name in option.former_task
    ]


def _type(option: Option) -> str:
    if option.task_type:
        return option.task_type
    return "multiLine" if option.repeatable and option.field != "templates" else _TYPES[option.kind]


def _label(option: Option) -> str:
    return _capital(option.name.replace("-", " ")).replace("Vm ", "VM ").replace(" id", " ID").replace("Os ", "OS ")


def _group(group: Group) -> str:
    first, *rest = str(group).lower().replace("-", " ").split()
    return first + "".join(word.capitalize() for word in rest)


def _handlers(target: str) -> Json:
    """Node 24 where the agent has it; Node 20 is what most agents really run."""
    return {"Node20_1": {"target": target}, "Node24": {"target": target}}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return f"{_capital(text)}."
