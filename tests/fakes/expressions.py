"""The expressions of GitHub Actions, as far as our action and samples use them: `${{ inputs.a == 'b' && c.d }}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|(==|!=|&&|\|\||!|[(),])|([A-Za-z_][A-Za-z0-9_.\-*]*))")


def evaluate(text: str, contexts: Mapping[str, Any]) -> Any:
    """The value of one expression, without its braces."""
    tokens = [next(filter(None, found.groups())) for found in _TOKEN.finditer(text)]
    value, rest = _or(tokens, contexts)
    assert not rest, f"{text}: {rest} was not understood"
    return value


def interpolate(text: str, contexts: Mapping[str, Any]) -> str:
    """Every `${{ }}` of a text replaced by its value, as text."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: _text(evaluate(found.group(1), contexts)), str(text))


def _or(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    value, rest = _and(tokens, contexts)
    while rest[:1] == ["||"]:
        other, rest = _and(rest[1:], contexts)
        value = value or other
    return value, rest


def _and(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    value, rest = _equal(tokens, contexts)
    while rest[:1] == ["&&"]:
        other, rest = _equal(rest[1:], contexts)
        value = value and other
    return value, rest


def _equal(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    value, rest = _single(tokens, contexts)
    while rest[:1] in (["=="], ["!="]):
        sign, (other, rest) = rest[0], _single(rest[1:], contexts)
        value = (_text(value).lower() == _text(other).lower()) is (sign == "==")
    return value, rest


def _single(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head == "!":
        value, rest = _single(rest, contexts)
        return not value, rest
    if head == "(":
        value, rest = _or(rest, contexts)
        return value, rest[1:]
    if head.startswith("'"):
        return head[1:-1].replace("''", "'"), rest
    if head[0].isdigit():
        return float(head), rest
    if rest[:1] == ["("]:
        arguments: list[Any] = []
        rest = rest[1:]
        while rest[0] != ")":
            value, rest = _or(rest, contexts)
            arguments.append(value)
            rest = rest[1:] if rest[0] == "," else rest
        return _call(head, arguments, contexts), rest[1:]
    return _look(head, contexts), rest


def _call(name: str, arguments: list[Any], contexts: Mapping[str, Any]) -> Any:
    match name.lower():
        case "tojson":
            return json.dumps(arguments[0], indent=2)
        case "fromjson":
            return json.loads(arguments[0])
        case "format":
            return re.sub(r"\{(\d+)\}", lambda found: _text(arguments[1 + int(found.group(1))]), arguments[0])
        case "hashfiles":
            return "hash"
        case "always":
            return True
        case "success" | "failure" | "cancelled":
            return (
                contexts["job"]["status"]
                == {"success": "success", "failure": "failure", "cancelled": "cancelled"}[name]
            )
    raise AssertionError(f"{name}() is not known")


def _look(path: str, contexts: Mapping[str, Any]) -> Any:
    if path in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[path]
    value: Any = contexts
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
