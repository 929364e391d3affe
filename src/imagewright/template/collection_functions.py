"""ARM's functions of arrays and objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from imagewright.template.values import Value, as_text, describe, equal, find, items, members, number, text, wrong


def _contains(container: Value, wanted: Value) -> bool:
    if isinstance(container, str):
        return as_text(wanted) in container
    if isinstance(container, dict):
        return find(container, text(wanted)) is not None
    return any(equal(one, wanted) for one in items(container))


def _union(*parts: Value) -> Value:
    if parts and isinstance(parts[0], dict):
        result: dict[str, Value] = {}
        for part in parts:
            for key, value in members(part).items():
                old = result.get(key)
                result[key] = _union(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        return result
    return _distinct([one for part in parts for one in items(part)])


def _intersection(first: Value, *others: Value) -> Value:
    if isinstance(first, dict):
        return {
            key: value
            for key, value in first.items()
            if all(key in members(other) and equal(other[key], value) for other in others)
        }
    return [one for one in _distinct(items(first)) if all(_contains(items(other), one) for other in others)]


def _distinct(values: list[Value]) -> list[Value]:
    unique: dict[str, Value] = {}
    for one in values:
        unique.setdefault(json.dumps(one, sort_keys=True, default=repr), one)
    return list(unique.values())


def _create_object(*pairs: Value) -> dict[str, Value]:
    if len(pairs) % 2:
        raise wrong("takes names and values in pairs")
    return {text(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _range(start: Value, count: Value) -> list[Value]:
    if not 0 <= number(count) <= 10_000:
        raise wrong("makes at most 10000 numbers")
    return list(range(number(start), start + count))


def _sized(value: Value) -> str | list[Value]:
    if not isinstance(value, str | list):
        raise wrong(f"text or an array is expected, not {describe(value)}")
    return value


def _first(value: Value) -> Value:
    sequence = _sized(value)
    return sequence[0] if sequence else "" if isinstance(sequence, str) else None


def _last(value: Value) -> Value:
    sequence = _sized(value)
    return sequence[-1] if sequence else "" if isinstance(sequence, str) else None


def _length(value: Value) -> int:
    if not isinstance(value, str | list | dict):
        raise wrong(f"{describe(value)} has no length")
    return len(value)


def _empty(value: Value) -> bool:
    return value is None or _length(value) == 0


def _try_get(target: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(target, dict) and isinstance(key, str):
            name = find(target, key)
            target = None if name is None else target[name]
        elif isinstance(target, list) and isinstance(key, int):
            target = target[key] if 0 <= key < len(target) else None
        else:
            return None
    return target


def _shallow_merge(parts: Value) -> dict[str, Value]:
    return {key: value for part in items(parts) for key, value in members(part).items()}


def _flatten(parts: Value) -> list[Value]:
    return [one for part in items(parts) for one in items(part)]


COLLECTION_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "array": lambda value: value if isinstance(value, list) else [value],
    "contains": _contains,
    "createArray": lambda *values: list(values),
    "createObject": _create_object,
    "empty": _empty,
    "first": _first,
    "flatten": _flatten,
    "indexFromEnd": lambda values, index: items(values)[-number(index)],
    "intersection": _intersection,
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(members(value), key=str.lower)],
    "last": _last,
    "length": _length,
    "null": lambda: None,
    "objectKeys": lambda value: sorted(members(value)),
    "range": _range,
    "shallowMerge": _shallow_merge,
    "skip": lambda value, count: _sized(value)[max(0, number(count)) :],
    "take": lambda value, count: _sized(value)[: max(0, number(count))],
    "tryGet": _try_get,
    "union": _union,
}

TRANSPARENT = frozenset(
    {
        "array",
        "concat",
        "contains",
        "createArray",
        "createObject",
        "empty",
        "first",
        "flatten",
        "items",
        "last",
        "length",
    }
    | {"objectKeys", "shallowMerge", "skip", "take", "tryGet", "union"}
)
"""These look at the outside of their arguments only: what is inside may be unknown."""
