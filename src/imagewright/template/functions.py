"""ARM's functions that depend on their arguments alone, by name. ARM compares names without case."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imagewright.core.unknown import Unknown
from imagewright.template import collection_functions
from imagewright.template.address_functions import ADDRESS_FUNCTIONS
from imagewright.template.collection_functions import COLLECTION_FUNCTIONS
from imagewright.template.dates import DATE_FUNCTIONS
from imagewright.template.expressions import ExpressionError
from imagewright.template.lambda_functions import LAMBDA_FUNCTIONS
from imagewright.template.text_functions import TEXT_FUNCTIONS
from imagewright.template.values import Value, describe, equal, first_unknown, items, number, text, truth, wrong


def _bool(value: Value) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "1", "false", "0"}:
        return value.lower() in {"true", "1"}
    return value != 0 if isinstance(value, int) else truth(value)


def _int(value: Value) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,18}\s*", value):
        return int(value)
    return int(value) if isinstance(value, float) else number(value)


def _fail(message: Value) -> Value:
    hint = "the template itself asks for this error"
    raise ExpressionError("template-fails", f"the template says: {text(message)}", hint=hint)


def _extreme(choose: Callable[[list[int]], int]) -> Callable[..., int]:
    def function(*values: Value) -> int:
        numbers = items(values[0]) if len(values) == 1 and isinstance(values[0], list) else list(values)
        if not numbers:
            raise wrong("there is no number")
        return choose([number(one) for one in numbers])

    return function


def _divide(left: Value, right: Value, *, remainder: bool = False) -> int:
    """Towards zero, as .NET does."""
    if number(right) == 0:
        raise wrong("this divides by zero")
    quotient = abs(number(left)) // abs(right)
    quotient = quotient if (left < 0) == (right < 0) else -quotient
    return int(left - quotient * right if remainder else quotient)


def _comparison(decide: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def function(left: Value, right: Value) -> bool:
        kind = str if isinstance(left, str) else int
        if not isinstance(left, kind) or not isinstance(right, kind):
            raise wrong(f"{describe(left)} and {describe(right)} cannot be compared")
        return decide(left, right)

    return function


_NUMBERS_AND_LOGIC: Mapping[str, Callable[..., Value]] = {
    "add": lambda left, right: number(left) + number(right),
    "div": _divide,
    "float": lambda value: float(value) if isinstance(value, int | float) else float(_int(value)),
    "int": _int,
    "max": _extreme(max),
    "min": _extreme(min),
    "mod": lambda left, right: _divide(left, right, remainder=True),
    "mul": lambda left, right: number(left) * number(right),
    "sub": lambda left, right: number(left) - number(right),
    # logic
    "bool": _bool,
    "equals": equal,
    "false": lambda: False,
    "greater": _comparison(lambda left, right: left > right),
    "greaterOrEquals": _comparison(lambda left, right: left >= right),
    "less": _comparison(lambda left, right: left < right),
    "lessOrEquals": _comparison(lambda left, right: left <= right),
    "not": lambda value: not truth(value),
    "true": lambda: True,
}

_ALL: Mapping[str, Callable[..., Value]] = {
    **TEXT_FUNCTIONS,
    **COLLECTION_FUNCTIONS,
    **_NUMBERS_AND_LOGIC,
    **DATE_FUNCTIONS,
    **ADDRESS_FUNCTIONS,
    **LAMBDA_FUNCTIONS,
    "fail": _fail,
}
NAMES = tuple(_ALL)
FUNCTIONS: Mapping[str, Callable[..., Value]] = {name.lower(): function for name, function in _ALL.items()}
TRANSPARENT = frozenset(name.lower() for name in {*collection_functions.TRANSPARENT, *LAMBDA_FUNCTIONS})
"""These look at the outside of their arguments only: what is inside may be unknown."""

OF_TEXTS = frozenset(name.lower() for name in {*TEXT_FUNCTIONS, "first", "last", "skip", "take"})
"""What these make out of a secret is secret."""


def call(name: str, arguments: Sequence[Value | Unknown]) -> Value | Unknown:
    """The value of a function by its lower-case name. Raises ExpressionError, whatever the arguments are."""
    for one in arguments:
        if isinstance(one, Unknown):
            if name in {"createarray", "createobject"}:
                continue
            return one
        if name not in TRANSPARENT and (doubt := first_unknown(one)) is not None:
            return doubt
    try:
        return FUNCTIONS[name](*arguments)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise wrong("this cannot be done with these values") from None
