"""Requests are held to the shapes of the api-version that the installed SDK speaks.

Its models know every property, its type, whether it is required and whether it is read-only. A client that sends
plain JSON, as packer does or as a dict body does, is checked just the same.
"""

from __future__ import annotations

import datetime as dt
import sys
import types
import typing
from enum import Enum
from functools import cache
from typing import Any

from armsim.problems import ArmError, invalid_parameter, missing_parameter, unknown_member

OPEN_ENUMS = {"vmSize", "storageAccountType", "sku", "name", "type", "tier", "kind", "family", "publisher", "offer"}
"""Properties whose published list of values is not complete."""


@cache
def _hints(model: type) -> dict[str, Any]:
    module = sys.modules[model.__module__]
    package = sys.modules[model.__module__.rsplit(".", 1)[0]]
    root = sys.modules.get(model.__module__.rsplit(".", 2)[0] + "._types")
    names = vars(module) | {"_models": package, "_types": root}
    hints: dict[str, Any] = {}
    for owner in reversed(model.__mro__):
        if "_models" in owner.__module__:
            hints |= typing.get_type_hints(owner, globalns=names, include_extras=False)
    return hints


@cache
def members(model: type) -> dict[str, tuple[Any, bool, bool]]:
    """JSON name to (type, required, read-only)."""
    model({})  # an SDK model fills its table of fields on first use
    fields = model._attr_to_rest_field  # type: ignore[attr-defined]
    hints = _hints(model)
    found = {}
    for attribute, field in fields.items():
        hint = hints.get(attribute, Any)
        optional = type(None) in typing.get_args(hint) or hint is Any
        read_only = field._visibility == ["read"]
        found[field._rest_name] = (hint, not optional and not read_only, read_only)
    return found


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "_is_model")


def check(model: type, body: Any, *, partial: bool = False) -> None:
    """Raise ArmError (400) for unknown, read-only, missing and ill-typed properties. `partial`: as in a PATCH."""
    _object(model, body, "", partial)


def _object(model: type, value: Any, path: str, partial: bool) -> None:
    if not isinstance(value, dict):
        raise _wrong(path or "$", "object", value)
    known = members(model)
    lowered = {name.lower(): name for name in known}
    for name, inner in value.items():
        where = f"{path}.{name}" if path else name
        if name not in known and name.lower() in lowered:
            name = lowered[name.lower()]  # ARM does not mind the case of a property's name
        if name not in known:
            raise unknown_member(name, model.__name__, where)
        hint, _, read_only = known[name]
        if inner is None:
            continue
        if read_only:
            raise invalid_parameter(f"The property '{name}' is read-only and cannot be set.", where)
        _value(hint, inner, where, name, partial)
    if partial:
        return
    present = {name.lower() for name, inner in value.items() if inner is not None}
    for name, (_, required, _) in known.items():
        if required and name.lower() not in present:
            raise missing_parameter(f"{path}.{name}" if path else name)


def _value(hint: Any, value: Any, path: str, name: str, partial: bool) -> None:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        enums = [option for option in options if isinstance(option, type) and issubclass(option, Enum)]
        if enums and isinstance(value, str):
            _enum(enums[0], value, path, name)
        elif enums:
            raise _wrong(path, "string", value)
        elif len(options) == 1:
            _value(options[0], value, path, name, partial)
        return
    if origin is list:
        if not isinstance(value, list):
            raise _wrong(path, "array", value)
        for index, item in enumerate(value):
            _value(typing.get_args(hint)[0], item, f"{path}[{index}]", name, partial)
    elif origin is dict:
        if not isinstance(value, dict):
            raise _wrong(path, "object", value)
        for key, item in value.items():
            _value(typing.get_args(hint)[1], item, f"{path}.{key}", key, partial)
    elif _is_model(hint):
        _object(hint, value, path, partial)
    else:
        _scalar(hint, value, path)


def _enum(enum: type[Enum], value: str, path: str, name: str) -> None:
    allowed = [str(item.value) for item in enum]
    if name not in OPEN_ENUMS and value.lower() not in {item.lower() for item in allowed}:
        raise invalid_parameter(
            f"The value '{value}' of parameter '{name}' is not allowed. Allowed values are: {', '.join(allowed)}.",
            path,
        )


def _scalar(hint: Any, value: Any, path: str) -> None:
    if hint is bool and not isinstance(value, bool):
        raise _wrong(path, "boolean", value)
    if hint is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise _wrong(path, "integer", value)
    if hint is float and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise _wrong(path, "number", value)
    if hint in (str, dt.datetime) and not isinstance(value, str):
        raise _wrong(path, "string", value)


def _wrong(path: str, wanted: str, value: Any) -> ArmError:
    return ArmError(
        400,
        "InvalidRequestContent",
        "The request content was invalid and could not be deserialized: "
        f"'Error converting value \"{value}\" to type '{wanted}'. Path '{path}', line 1, position 1.'.",
        path,
    )
