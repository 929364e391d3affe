"""ARM's functions that take lambdas. A lambda is a callable of as many values as it has names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key

from imagewright.core.unknown import Unknown
from imagewright.template.values import Value, items, members, text, truth, wrong

Lambda = Callable[..., "Value | Unknown"]


class _DoubtError(Exception):
    """What decides is unknown, so all is."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.reason)
        self.unknown = unknown


def _function(value: Value) -> Lambda:
    if not callable(value):
        raise wrong("a lambda is expected", "for example lambda('x', lambdaVariables('x'))")
    function: Lambda = value
    return function


def _decides(value: Value | Unknown) -> bool:
    if isinstance(value, Unknown):
        raise _DoubtError(value)
    return truth(value)


def _map(values: Value, function: Value) -> Value:
    work = _function(function)
    return [work(one, index) for index, one in enumerate(items(values))]


def _filter(values: Value, function: Value) -> Value:
    work = _function(function)
    return [one for index, one in enumerate(items(values)) if _decides(work(one, index))]


def _reduce(values: Value, initial: Value, function: Value) -> Value:
    work = _function(function)
    result = initial
    for index, one in enumerate(items(values)):
        result = work(result, one, index)
    return result


def _sort(values: Value, function: Value) -> Value:
    """The lambda says whether its first value comes before its second."""
    before = _function(function)

    def order(left: Value, right: Value) -> int:
        return -1 if _decides(before(left, right)) else int(_decides(before(right, left)))

    return sorted(items(values), key=cmp_to_key(order))


def _name(value: Value | Unknown) -> str:
    if isinstance(value, Unknown):
        raise _DoubtError(value)
    return text(value)


def _to_object(values: Value, key: Value, value: Value = None) -> Value:
    name, work = _function(key), (lambda one: one) if value is None else _function(value)
    return {_name(name(one)): work(one) for one in items(values)}


def _group_by(values: Value, key: Value) -> Value:
    name = _function(key)
    groups: dict[str, list[Value]] = {}
    for one in items(values):
        groups.setdefault(_name(name(one)), []).append(one)
    return groups


def _map_values(value: Value, function: Value) -> Value:
    work = _function(function)
    return {key: work(one) for key, one in members(value).items()}


def _patient(function: Callable[..., Value]) -> Callable[..., Value | Unknown]:
    def patient(values: Value, *rest: Value) -> Value | Unknown:
        try:
            return function(values, *rest)
        except _DoubtError as doubt:
            return doubt.unknown

    patient.__wrapped__ = function  # type: ignore[attr-defined]  # its signature is the one that counts
    return patient


LAMBDA_FUNCTIONS: Mapping[str, Callable[..., Value | Unknown]] = {
    "filter": _patient(_filter),
    "groupBy": _patient(_group_by),
    "map": _map,
    "mapValues": _map_values,
    "reduce": _reduce,
    "sort": _patient(_sort),
    "toObject": _patient(_to_object),
}
