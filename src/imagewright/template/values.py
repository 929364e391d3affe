"""The values of ARM expressions, and what functions expect of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagewright.template.expressions import ExpressionError

Value = Any
"""What an expression may be: str, int, float, bool, None, list or dict of these."""

_MAX_TEXT = 4 << 20
_MAX_ITEMS = 100_000


def wrong(message: str, hint: str = "") -> ExpressionError:
    return ExpressionError("bad-argument", message, hint=hint)


def text(value: Value) -> str:
    if not isinstance(value, str):
        raise wrong(f"text is expected, not {describe(value)}")
    return value


def number(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(f"a whole number is expected, not {describe(value)}")
    return value


def truth(value: Value) -> bool:
    if not isinstance(value, bool):
        raise wrong(f"true or false is expected, not {describe(value)}")
    return value


def items(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise wrong(f"an array is expected, not {describe(value)}")
    return value


def members(value: Value) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise wrong(f"an object is expected, not {describe(value)}")
    return value


def describe(value: Value) -> str:
    kinds = {bool: "a bool", int: "an int", float: "a number", str: "a string", list: "an array", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), "something else")


def find(target: Mapping[str, Value], key: str) -> str | None:
    """The name in `target` that ARM takes for `key`."""
    if key in target:
        return key
    return next((one for one in target if one.lower() == key.lower()), None)


def as_text(value: Value) -> str:
    """What `string()` and `format()` make of a value."""
    match value:
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case str():
            return value
        case list() | dict():
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        case _:
            return str(value)


MAX_TEXT = 4 << 20
_MAX_ITEMS = 100_000


def check_size(value: Value) -> Value:
    """`value`, unless it is too large to work with. ARM's own numbers have 64 bits."""
    match value:
        case str():
            fits = len(value) <= MAX_TEXT
        case list():
            fits = len(value) <= _MAX_ITEMS
        case int():
            fits = -(2**63) <= value < 2**63
        case _:
            return value
    if not fits:
        raise ExpressionError("too-large", "the value becomes too large")
    return value


def equal(left: Value, right: Value) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)
