"""What an option is: one row of the table, with its spelling in each of the four worlds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    times, an input or variable with one value a line. `pipeline` says whether the action and the task offer it.
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
    required: bool = False
    secret: bool = False
    pipeline: bool = True
    env: tuple[str, ...] | None = ()

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
        return self.name if self.pipeline else ""

    @property
    def task_input(self) -> str:
        """The Azure Pipelines task's input (camelCase), or `""`."""
        first, *rest = self.name.split("-")
        return first + "".join(word.capitalize() for word in rest) if self.pipeline else ""

    @property
    def values(self) -> tuple[str, ...]:
        """What a choice may be."""
        return self.choices if isinstance(self.choices, tuple) else tuple(str(one) for one in self.choices)
