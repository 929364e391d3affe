"""ARM's functions of arrays and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imagewright.core.unknown import Unknown
from imagewright.template.values import (
    MAX_ITEMS,
    Value,
    as_json,
    as_text,
    describe,
    equal,
    find,
    first_unknown,
    items,
    members,
    number,
    text,
    wrong,
)


def _contains(container: Value, wanted: Value) -> bool | Unknown:
    if isinstance(container, str):
        return as_text(wanted) in container
    if isinstance(container, dict):
        return find(container, text(wanted)) is not None
    doubt = first_unknown([items(container), wanted])
    found = any(equal(one, wanted) for one in container)
    return doubt if doubt is not None and not found else found


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
    common = [{as_json(one, in_order=True) for one in items(other)} for other in others]
    return [one for one in _distinct(items(first)) if all(as_json(one, in_order=True) in texts for texts in common)]


def _distinct(values: list[Value]) -> list[Value]:
    unique: dict[str, Value] = {}
    for one in values:
        unique.setdefault(as_json(one, in_order=True), one)
    return list(unique.values())


def _create_object(*pairs: Value) -> dict[str, Value] | Unknown:
    if len(pairs) % 2:
        raise wrong("takes names and values in pairs")
    if doubt := first_unknown(list(pairs[::2])):
        return doubt
    return {text(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _range(start: Value, count: Value) -> list[Value]:
    if not 0 <= number(count) <= 10_000:
        raise wrong("makes 0 to 10000 numbers")
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
        if isinstance(target, Unknown):
            return target
        if isinstance(target, dict) and isinstance(key, str):
            name = find(target, key)
            target = None if name is None else target[name]
        elif isinstance(target, list) and isinstance(key, int):
            target = target[key] if 0 <= key < len(target) else None
        else:
            return None
    return target


def _shallow_merge(parts: Value) -> dict[str, Value] | Unknown:
    if doubt := _unknown_part(parts):
        return doubt
    return {key: value for part in items(parts) for key, value in members(part).items()}


def _flatten(parts: Value) -> list[Value] | Unknown:
    if doubt := _unknown_part(parts):
        return doubt
    if sum(len(items(part)) for part in items(parts)) > MAX_ITEMS:
        raise wrong(f"makes at most {MAX_ITEMS} items")
    return [one for part in parts for one in part]


def _unknown_part(parts: Value) -> Unknown | None:
    return next((one for one in items(parts) if isinstance(one, Unknown)), None)


def _from_end(values: Value, index: Value) -> Value:
    if not 1 <= number(index) <= len(items(values)):
        raise wrong(f"there is no item {index} from the end: the array has {len(values)}")
    return values[-index]


def _try_from_end(values: Value, index: Value) -> Value:
    return values[-index] if 1 <= number(index) <= len(items(values)) else None


COLLECTION_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "array": lambda value: value if isinstance(value, list) else [value],
    "contains": _contains,
    "createArray": lambda *values: list(values),
    "createObject": _create_object,
    "empty": _empty,
    "first": _first,
    "flatten": _flatten,
    "indexFromEnd": _from_end,
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
    "tryIndexFromEnd": _try_from_end,
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
    | {"indexFromEnd", "objectKeys", "shallowMerge", "skip", "take", "tryGet", "tryIndexFromEnd", "union"}
)
