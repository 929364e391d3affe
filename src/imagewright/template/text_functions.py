"""ARM's functions of texts, and of their encodings."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urljoin

from imagewright.template.unique import guid, unique_string
from imagewright.template.values import MAX_TEXT, Value, as_text, describe, equal, items, number, text, wrong


def _concat(*parts: Value) -> Value:
    if parts and isinstance(parts[0], list):
        return [one for part in parts for one in items(part)]
    if sum(len(part) for part in parts if isinstance(part, str)) > MAX_TEXT:
        raise wrong("the text becomes longer than 4 MiB")
    for part in parts:
        if isinstance(part, list | dict):
            raise wrong(f"a text and {describe(part)} cannot be joined")
    return "".join(as_text(part) for part in parts)


def _format(pattern: Value, *arguments: Value) -> str:
    def one(found: re.Match[str]) -> str:
        if found[0] in {"{{", "}}"}:
            return found[0][0]
        if not found[1]:
            raise wrong(f"'{found[0]}' is no place for a value", "write {0}, or {{ for a brace")
        index = int(found[1])
        if index >= len(arguments):
            raise wrong(f"{{{index}}} has no value: there are {len(arguments)}")
        return _padded(arguments[index], found[2], found[3])

    return re.sub(r"\{\{|\}\}|\{(?:(\d{1,4})(?:,(-?\d{1,4}))?(?::([^{}]*))?)?\}?|\}", one, text(pattern))


def _padded(value: Value, width: str | None, form: str | None) -> str:
    if form and isinstance(value, int) and not isinstance(value, bool):
        if digits := re.fullmatch(r"[Dd](\d{0,2})|(0+)", form):
            value = f"{value:0{int(digits[1] or len(digits[2] or '0'))}d}"
        elif digits := re.fullmatch(r"([Xx])(\d{0,2})", form):
            value = f"{value:0{int(digits[2] or 0)}{digits[1]}}"
        else:
            raise wrong(f"the format '{form}' is not known here", "D, X and zeros are")
    shown = as_text(value)
    size = int(width or 0)
    return shown.rjust(size) if size >= 0 else shown.ljust(-size)


def _substring(source: Value, start: Value, length: Value = None) -> str:
    source, start = text(source), number(start)
    size = len(source) - start if length is None else number(length)
    if not (0 <= start <= len(source) and 0 <= size <= len(source) - start):
        raise wrong(f"this leaves the text of {len(source)} characters")
    return str(source[start : start + size])


def _split(source: Value, separators: Value) -> list[Value]:
    marks = separators if isinstance(separators, list) else [separators]
    return re.split("|".join(re.escape(text(mark)) for mark in marks), text(source))


def _pad_left(source: Value, length: Value, fill: Value = " ") -> str:
    if not 0 <= number(length) <= 10_000 or len(text(fill)) != 1:
        raise wrong("takes a length up to 10000 and one character")
    return as_text(source).rjust(length, fill)


def _base64(source: Value) -> str:
    return base64.b64encode(text(source).encode()).decode()


def _unbase64(source: Value) -> str:
    try:
        return base64.b64decode(text(source), validate=True).decode()
    except ValueError:
        raise wrong("this is not base64 of a text") from None


def _data_uri_text(source: Value) -> str:
    head, comma, body = text(source).partition(",")
    if not comma or not head.startswith("data:"):
        raise wrong("this is not a data URI")
    return _unbase64(body) if head.endswith(";base64") else unquote(body)


def _json(source: Value) -> Value:
    try:
        return json.loads(text(source))
    except (ValueError, RecursionError) as error:
        raise wrong(f"this is not JSON: {error}") from None


def _index_of(source: Value, part: Value) -> int:
    if isinstance(source, list):
        return next((index for index, one in enumerate(source) if equal(one, part)), -1)
    return text(source).lower().find(text(part).lower())


def _last_index_of(source: Value, part: Value) -> int:
    if isinstance(source, list):
        return next((index for index in range(len(source) - 1, -1, -1) if equal(source[index], part)), -1)
    return text(source).lower().rfind(text(part).lower())


TEXT_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "base64": _base64,
    "base64ToString": _unbase64,
    "base64ToJson": lambda source: _json(_unbase64(source)),
    "concat": _concat,
    "dataUri": lambda source: f"data:text/plain;charset=utf8;base64,{_base64(source)}",
    "dataUriToString": _data_uri_text,
    "endsWith": lambda source, end: text(source).lower().endswith(text(end).lower()),
    "format": _format,
    "guid": lambda first, *more: guid([text(one) for one in (first, *more)]),
    "indexOf": _index_of,
    "join": lambda parts, separator: text(separator).join(as_text(one) for one in items(parts)),
    "json": _json,
    "lastIndexOf": _last_index_of,
    "padLeft": _pad_left,
    "replace": lambda source, old, new: text(source).replace(text(old), text(new)) if old else source,
    "split": _split,
    "startsWith": lambda source, start: text(source).lower().startswith(text(start).lower()),
    "string": as_text,
    "substring": _substring,
    "toLower": lambda source: text(source).lower(),
    "toUpper": lambda source: text(source).upper(),
    "trim": lambda source: text(source).strip(),
    "uniqueString": lambda first, *more: unique_string([text(one) for one in (first, *more)]),
    "uri": lambda base, relative: urljoin(text(base), text(relative)),
    "uriComponent": lambda source: quote(text(source), safe="-_.~"),
    "uriComponentToString": lambda source: unquote(text(source)),
}
