"""Values in layers: a default, what the environment says, what the command line or a pipeline's input says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from imagewright.options.parse import parse
from imagewright.options.row import Option


class Provenance(IntEnum):
    """Where a value came from; the higher one wins."""

    DEFAULT = 0
    ENVIRONMENT = 1
    INPUT = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it was written: `where` is the flag, the variable or the input, as a message names it."""

    value: object
    provenance: Provenance
    where: str = ""


Layer = Mapping[str, Value]
"""Values by the field they fill; a field that nobody gave is absent."""


def from_command_line(rows: tuple[Option, ...], given: Mapping[str, str | list[str] | None]) -> Layer:
    """The layer of what argparse found: by field, a text, a list of texts, or None."""
    return _layer(rows, lambda row: ((given.get(row.field), f"`{row.flag}`"),), Provenance.COMMAND_LINE)


def from_environment(rows: tuple[Option, ...], environment: Mapping[str, str]) -> Layer:
    """The layer of `IMAGEWRIGHT_*` and the other variables of the table; an empty variable is not set."""
    data = environment.get("XDG_DATA_HOME", "")
    home = {"home": Value(Path(data) / "imagewright", Provenance.ENVIRONMENT, "XDG_DATA_HOME")} if data else {}
    return home | dict(
        _layer(
            rows,
            lambda row: tuple((_split(row, environment.get(name, "")), name) for name in row.variables),
            Provenance.ENVIRONMENT,
        )
    )


def from_inputs(rows: tuple[Option, ...], read: Callable[[Option], str], name: Callable[[Option], str]) -> Layer:
    """The layer of a pipeline's inputs: `read` gives the text of one (`""`: not given), `name` its own spelling."""
    return _layer(
        tuple(row for row in rows if row.pipeline),
        lambda row: ((_split(row, read(row)), f"input `{name(row)}`"),),
        Provenance.INPUT,
    )


def strongest(*layers: Layer) -> Layer:
    """For each field the value of the highest provenance; among equals the later layer."""
    result: dict[str, Value] = {}
    for layer in layers:
        for field, value in layer.items():
            if field not in result or value.provenance >= result[field].provenance:
                result[field] = value
    return result


_Candidate = tuple[str | list[str] | None, str]


def _layer(
    rows: tuple[Option, ...], candidates: Callable[[Option], tuple[_Candidate, ...]], provenance: Provenance
) -> dict[str, Value]:
    layer: dict[str, Value] = {}
    for row in rows:
        for given, where in candidates(row):
            if given is None or given == []:
                continue
            texts = [given] if isinstance(given, str) else given
            values = tuple(parse(row, text, where) for text in texts)
            layer[row.field] = Value(values if row.repeatable else values[-1], provenance, where)
            break
    return layer


def _split(row: Option, text: str) -> list[str] | str | None:
    """What is empty was not given; on a command line it was, by a variable perhaps that holds nothing."""
    if not row.repeatable:
        return text.strip() or None
    return [line.strip() for line in text.splitlines() if line.strip()]
