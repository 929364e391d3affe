"""What an option is: one row of the table, with its spelling in each of the four worlds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any


class Command(StrEnum):
    BUILD = "build"
    PLAN = "plan"
    VALIDATE = "validate"
    CLEANUP = "cleanup"
    CACHE_LIST = "cache list"
    CACHE_PRUNE = "cache prune"
    DOCTOR = "doctor"
    VERSION = "version"


ALL = frozenset(Command)


class Group(StrEnum):
    """Where an option stands in the help and in the reference page."""

    TEMPLATE = "template"
    BUILD = "build"
    CACHE = "cache"
    LOCAL = "local machine"
    AZURE = "Azure"
    OUTPUT = "output"
    CLEANUP = "cleanup"
    JOB = "job"
    SOURCE = "source"
    SCRIPT = "customization"
    TARGET = "distribution"
    ARTIFACTS = "build artifacts"
    SIGN_IN = "sign-in"


class Kind(StrEnum):
    STRING = "string"
    PATH = "path"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    CHOICE = "choice"
    SIZE = "size"
    AGE = "age"
    ASSIGNMENT = "assignment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row.

    `name` is kebab-case and serves as flag and as GitHub input; `field` is the attribute of `Options`. `default` is
    text, read like any other value (`""`: no value). `env` are the environment variables that count, the first one
    that is set wins; `()` means `IMAGEWRIGHT_<NAME>`, `None` means none. `repeatable` options are lists: a flag many
    times, an input or variable with one value a line.

    `pipeline` says whether the action and the task offer it, `github` and `task` whether each does. `former_github`
    are its names in azure/build-vm-image, `former_task` in AzureImageBuilderTask@1: they mean the same. `task_name`
    is the task's spelling where camelCase does not give it, `task_type` the type of the task's input where `kind`
    does not, `visible` the task's visibleRule. `pipeline_help` replaces `help` where pipelines take more.
    """

    help: str
    group: Group
    commands: frozenset[Command]
    kind: Kind = Kind.STRING
    default: str = ""
    choices: type[StrEnum] | tuple[str, ...] = ()
    minimum: int | None = None
    metavar: str = ""
    name: str = ""
    field: str = ""
    short: str = ""
    positional: bool = False
    repeatable: bool = False
    secret: bool = False
    pipeline: bool = True
    env: tuple[str, ...] | None = ()
    github: bool = True
    task: bool = True
    former_github: tuple[str, ...] = ()
    former_task: tuple[str, ...] = ()
    task_name: str = ""
    task_type: str = ""
    visible: str = ""
    pipeline_help: str = ""

    @property
    def flag(self) -> str:
        return self.name if self.positional else f"--{self.name}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, the strongest first."""
        if self.env is None:
            return ()
        return self.env or (f"IMAGEWRIGHT_{self.name.replace('-', '_').upper()}",)

    @property
    def github_input(self) -> str:
        """The action's input (kebab-case), or `""` where pipelines do not offer this option."""
        return self.name if self.pipeline and self.github else ""

    @property
    def task_input(self) -> str:
        """The Azure Pipelines task's input (camelCase), or `""`."""
        first, *rest = self.name.split("-")
        camel = self.task_name or first + "".join(word.capitalize() for word in rest)
        return camel if self.pipeline and self.task else ""

    @property
    def github_inputs(self) -> tuple[str, ...]:
        """Every name that the action takes for it, its own first."""
        return tuple(filter(None, (self.github_input, *self.former_github)))

    @property
    def task_inputs(self) -> tuple[str, ...]:
        """Every name that the task takes for it, its own first."""
        return tuple(filter(None, (self.task_input, *self.former_task)))

    @property
    def input_help(self) -> str:
        """`help`, as the action and the task say it."""
        return self.pipeline_help or self.help

    @property
    def values(self) -> tuple[str, ...]:
        """What a choice may be."""
        return self.choices if isinstance(self.choices, tuple) else tuple(str(one) for one in self.choices)


_FORMS = {Kind.ASSIGNMENT: "NAME=VALUE", Kind.AGE: "30d", Kind.SIZE: "20GiB"}


def described(option: Option) -> str:
    """`input_help`, with the form of a value where it has one, and whether it may be many."""
    form = f"; written like `{_FORMS[option.kind]}`" if option.kind in _FORMS else ""
    many = "; one a line" if option.repeatable and not option.positional else ""
    return f"{option.input_help}{form}{many}"


def table_of(options: type[Any]) -> tuple[Option, ...]:
    """The rows that stand in the fields of a dataclass, each named as its field where it has no name of its own."""
    return tuple(
        replace(option, field=each.name, name=option.name or each.name.replace("_", "-"))
        for each in fields(options)
        if (option := each.metadata.get("option")) is not None
    )
