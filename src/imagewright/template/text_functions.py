"""ARM's functions of texts, and of their encodings."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urljoin

from imagewright.template.unique import guid, unique_string
from imagewright.template.values import (
    MAX_ITEMS,
    Value,
    as_text,
    describe,
    equal,
    fits,
    from_json,
    items,
    number,
    text,
    wrong,
)


def _concat(*parts: Value) -> Value:
    if parts and isinstance(parts[0], list):
        return [one for part in parts for one in items(part)]
    fits(sum(len(part) for part in parts if isinstance(part, str)))
    for part in parts:
        if isinstance(part, list | dict):
            raise wrong(f"a text and {describe(part)} cannot be joined")
    return "".join(as_text(part) for part in parts)


def _format(pattern: Value, *arguments: Value) -> str:
    length = 0

    def one(found: re.Match[str]) -> str:
        nonlocal length
        piece = meant(found)
        length += len(piece)
        fits(length)
        return piece

    def meant(found: re.Match[str]) -> str:
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
            least = int(digits[1] or len(digits[2] or "0"))
            value = f"{value:0{least + (value < 0)}d}"
        elif digits := re.fullmatch(r"([Xx])(\d{0,2})", form):
            value = f"{value % (1 << 64):0{int(digits[2] or 0)}{digits[1]}}"
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
    marks = [text(mark) for mark in (separators if isinstance(separators, list) else [separators])]
    marks = [mark for mark in marks if mark]
    if sum(text(source).count(mark) for mark in marks) > MAX_ITEMS:
        raise wrong(f"makes at most {MAX_ITEMS} parts")
    return re.split("|".join(re.escape(mark) for mark in marks), source) if marks else [source]


def _join(parts: Value, separator: Value) -> str:
    words = []
    length = 0
    for one in items(parts):
        words.append(as_text(one))
        length += len(words[-1]) + len(text(separator))
        fits(length)
    return str(separator).join(words)


def _replace(source: Value, old: Value, new: Value) -> str:
    if not text(old):
        return text(source)
    fits(len(text(source)) + source.count(old) * (len(text(new)) - len(old)))
    return str(source.replace(old, new))


def _words(first: Value, more: tuple[Value, ...]) -> list[str]:
    words = [text(one) for one in (first, *more)]
    fits(sum(map(len, words)))
    return words


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
    "base64ToJson": lambda source: from_json(_unbase64(source)),
    "concat": _concat,
    "dataUri": lambda source: f"data:text/plain;charset=utf8;base64,{_base64(source)}",
    "dataUriToString": _data_uri_text,
    "endsWith": lambda source, end: text(source).lower().endswith(text(end).lower()),
    "format": _format,
    "guid": lambda first, *more: guid(_words(first, more)),
    "indexOf": _index_of,
    "join": _join,
    "json": lambda source: from_json(text(source)),
    "lastIndexOf": _last_index_of,
    "padLeft": _pad_left,
    "replace": _replace,
    "split": _split,
    "startsWith": lambda source, start: text(source).lower().startswith(text(start).lower()),
    "string": as_text,
    "substring": _substring,
    "toLower": lambda source: text(source).lower(),
    "toUpper": lambda source: text(source).upper(),
    "trim": lambda source: text(source).strip(),
    "uniqueString": lambda first, *more: unique_string(_words(first, more)),
    "uri": lambda base, relative: urljoin(text(base), text(relative)),
    "uriComponent": lambda source: quote(text(source), safe="-_.~"),
    "uriComponentToString": lambda source: unquote(text(source)),
}
