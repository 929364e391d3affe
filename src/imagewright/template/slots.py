"""What may stand where, read out of the models: the knowledge behind every "did you mean"."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from imagewright.core.shape import Removed, Shape, Since


@dataclass(frozen=True)
class Leaf:
    """A plain value; `words` are the only ones allowed, if there are any."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sequence:
    items: Slot


@dataclass(frozen=True)
class Mapped:
    values: Slot


@dataclass(frozen=True)
class Record:
    model: type[Shape]


@dataclass(frozen=True)
class Choice:
    """One of several records, told apart by the field `by`."""

    by: str
    variants: Mapping[str, type[Shape]]
    removed: Mapping[str, str]


Slot = Leaf | Sequence | Mapped | Record | Choice


@dataclass(frozen=True)
class Field:
    """A field of a record, and the api-version that brought it (`""`: always there)."""

    slot: Slot
    since: str


@cache
def fields(model: type[Shape]) -> Mapping[str, Field]:
    """The fields of `model` by AIB's names."""
    hints = get_type_hints(model, include_extras=True)
    found = {}
    for name, info in model.model_fields.items():
        versions = [one.version for one in _metadata(hints[name]) if isinstance(one, Since)]
        found[info.alias or name] = Field(_slot(hints[name], ()), max(versions, default=""))
    return found


def _metadata(hint: Any) -> list[Any]:
    return [*hint.__metadata__] if get_origin(hint) is Annotated else []


def _slot(hint: Any, metadata: tuple[Any, ...]) -> Slot:
    if get_origin(hint) is Annotated:
        return _slot(hint.__origin__, (*metadata, *hint.__metadata__))
    arguments = [one for one in get_args(hint) if one is not type(None)]
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if len(arguments) == 1:
            return _slot(arguments[0], metadata)
        by = next(str(one.discriminator) for one in metadata if isinstance(one, FieldInfo))
        variants = {get_args(model.model_fields[by].annotation)[0]: model for model in arguments}
        removed = next((one.types for one in metadata if isinstance(one, Removed)), {})
        return Choice(by, variants, removed)
    if origin is Literal:
        return Leaf(tuple(get_args(hint)))
    if origin is tuple:
        return Sequence(_slot(arguments[0], ()))
    if origin is dict:
        return Mapped(_slot(arguments[1], ()))
    if isinstance(hint, type) and issubclass(hint, Shape):
        return Record(hint)
    return Leaf()
