"""The values of ARM expressions, and what functions expect of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from imagewright.core.unknown import Unknown
from imagewright.template.expressions import ExpressionError
from imagewright.template.source import MAX_DEPTH

Value = Any
"""What an expression may be: str, int, float, bool, None, list or dict of these."""

MAX_TEXT = 4 << 20
MAX_ITEMS = 50_000


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
    if callable(value):
        return "a lambda"
    return "null" if value is None else kinds.get(type(value), "something else")


def find(target: Mapping[str, Value], key: str) -> str | None:
    """The name in `target` that ARM takes for `key`."""
    if key in target:
        return key
    return next((one for one in target if one.lower() == key.lower()), None)


def first_unknown(value: Value | Unknown) -> Unknown | None:
    """The value itself or something in it, when that is unknown."""
    match value:
        case Unknown():
            return value
        case list() | dict():
            inner = value if isinstance(value, list) else value.values()
            return next((found for one in inner if (found := first_unknown(one)) is not None), None)
        case _:
            return None


def equal(left: Value, right: Value) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)


# --- texts ---


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
            return as_json(value)
        case _:
            return str(value)


def as_json(value: Value, *, in_order: bool = False) -> str:
    """Compact JSON. `in_order` sorts the names, so that equal objects give equal texts."""
    fits(_length(value))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=in_order, default=repr)


def from_json(source: str) -> Value:
    """The value in a JSON text, without what ARM does not know: NaN, infinities, halves of characters."""

    def refuse(word: str) -> Value:
        raise ValueError(f"{word} is no number of JSON")

    def fraction(digits: str) -> float:
        value = float(digits)
        return value if math.isfinite(value) else refuse(digits[:20])

    try:
        value = json.loads(source, parse_constant=refuse, parse_float=fraction)
    except RecursionError:
        raise wrong("this JSON nests too deeply") from None
    except ValueError as error:
        raise wrong(f"this is not JSON: {error}", "texts and names are in double quotes") from None
    measure(value)
    return _well_formed(value)


def _well_formed(value: Value) -> Value:
    match value:
        case str():
            return well_formed(value)
        case list():
            return [_well_formed(one) for one in value]
        case dict():
            return {well_formed(key): _well_formed(one) for key, one in value.items()}
        case _:
            return value


def well_formed(source: str) -> str:
    """`source` with U+FFFD for every half of a surrogate pair: no encoding has a place for one."""
    return source.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# --- sizes ---


def fits(characters: int) -> None:
    """Refuse to make a text of so many characters."""
    if characters > MAX_TEXT:
        raise ExpressionError("too-large", "the text becomes longer than 4 MiB", hint="make it in smaller parts")


def measure(value: Value) -> int:
    """About how many steps it takes to walk over `value`. Raises ExpressionError when nobody should.

    The numbers of ARM have 64 bits.
    """
    match value:
        case str():
            fits(len(value))
            return len(value) >> 10
        case int() if not -(2**63) <= value < 2**63:
            raise ExpressionError("too-large", "the value becomes too large", hint="ARM's numbers have 64 bits")
        case list() | dict():
            return _extent(value) >> 3
        case _:
            return 0


def _extent(value: Value) -> int:
    """How many values are in a list or object, however deep."""
    count = 0
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, list | dict)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return count
        count += len(level)
        if count > MAX_ITEMS:
            hint = f"arrays and objects may hold {MAX_ITEMS} values here"
            raise ExpressionError("too-large", "the value becomes too large", hint=hint)
    message = f"the value becomes more than {MAX_DEPTH} levels deep"
    raise ExpressionError("too-deep", message, hint="nest arrays and objects less deeply")


def _length(value: Value) -> int:
    """At least as many characters as `value` has values and texts, counted no further than a text may be long."""
    length = 0
    waiting = [value]
    while waiting and length <= MAX_TEXT:
        one = waiting.pop()
        match one:
            case str():
                length += len(one)
            case list():
                waiting += one
                length += len(one)
            case dict():
                waiting += one.values()
                length += sum(map(len, one))
            case _:
                length += 1
    return length
