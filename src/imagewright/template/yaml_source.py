"""YAML to the same plain data as JSON: no tags, no dates, no `yes` for true; and where each value stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import yaml

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin
from imagewright.template.source import MAX_DEPTH, Parsed, Span, escape

MAX_VALUES = 200_000
"""How many values a document may have when every alias is written out."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,308})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", "")),
}
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")} | {"!"}


class _Refused(Exception):  # noqa: N818 (a jump, not an error)
    def __init__(self, code: str, message: str, event: Any, hint: str = "") -> None:
        super().__init__(message)
        self.found = (code, message, event, hint)


class _Composer:
    """Events of the YAML parser to data. Not yaml.compose: its recursion has no limit."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self.pointer = ""
        self.spans: dict[str, Span] = {}
        self.keys: dict[str, Span] = {}
        self.anchors: dict[str, tuple[object, int]] = {}
        self.count = 0
        self.found: list[Diagnostic] = []

    def span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        line = bisect_right(
            self.lines, start.index
        )  # YAML counts more characters as the end of a line than editors do
        length = end.index - start.index if start.line == end.line else 1
        return Span(line, start.index - self.lines[line - 1] + 1, max(1, length))

    def report(self, severity: Severity, code: str, message: str, event: Any, hint: str = "") -> None:
        span = self.span(event)
        origin = Origin(self.path, span.line, span.column, self.pointer, span.length)
        self.found.append(Diagnostic(severity, code, message, origin, hint))

    def document(self) -> object:
        next(self.events)
        if not isinstance(start := next(self.events), yaml.DocumentStartEvent):
            raise _Refused("empty-file", "the file is empty", start, "write a template into it; `samples/` has some")
        value = self.value(next(self.events), "", 0)
        next(self.events)
        if isinstance(more := next(self.events), yaml.DocumentStartEvent):
            raise _Refused("several-documents", "the file holds more than one YAML document", more, "keep one")
        return value

    def value(self, event: Any, pointer: str, depth: int) -> object:
        self.pointer = pointer
        if depth > MAX_DEPTH:
            hint = "nest mappings and lists less deeply"
            raise _Refused("too-deep", f"more than {MAX_DEPTH} levels of nesting", event, hint)
        self.spans[pointer] = self.span(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _Refused(
                    "yaml-syntax",
                    f"*{event.anchor} was not defined before",
                    event,
                    "define it with &, or put it in quotes",
                )
            data, size = self.anchors[event.anchor]
            self.grow(size, event)
            return data
        if event.tag and event.tag not in _PLAIN_TAGS:
            raise _Refused("yaml-tag", f"the tag {event.tag} is not understood", event, "write the plain value")
        before = self.count
        self.grow(1, event)
        value: object
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        else:
            at = self.spans[pointer]
            self.spans[pointer] = Span(at.line, at.column)
            is_list = isinstance(event, yaml.SequenceStartEvent)
            value = self.items(pointer, depth) if is_list else self.members(pointer, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.count - before)
        return value

    def items(self, pointer: str, depth: int) -> list[object]:
        result: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            result.append(self.value(event, f"{pointer}/{len(result)}", depth + 1))
        return result

    def members(self, pointer: str, depth: int) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Refused("yaml-syntax", "a name must be plain text", event, "put it in quotes")
            key = event.value
            if key == "<<" and not event.style:
                merged |= self.merge(next(self.events), pointer, depth)
                continue
            child = f"{pointer}/{escape(key)}"
            if key in own:
                self.pointer = child
                earlier = self.keys[child].line
                message = f'"{key}" was given before, in line {earlier}; the last one counts'
                self.report(Severity.WARNING, "duplicate-key", message, event, "keep one of them")
            self.keys[child] = self.span(event)
            own[key] = self.value(next(self.events), child, depth + 1)
        return merged | own

    def merge(self, event: Any, pointer: str, depth: int) -> dict[str, object]:
        value = self.value(event, f"{pointer}/<<", depth + 1)
        maps = value if isinstance(value, list) else [value]
        result: dict[str, object] = {}
        for one in reversed(maps):
            if not isinstance(one, dict):
                raise _Refused("yaml-syntax", "<< takes a mapping, or a list of them", event, "for example <<: *name")
            result |= one
        return result

    def grow(self, values: int, event: Any) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            raise _Refused(
                "too-many-values", f"the document has more than {MAX_VALUES} values", event, "use fewer aliases"
            )


def _scalar(event: Any) -> object:
    text: str = event.value
    if event.style or (event.tag or "").endswith((":str", "!")):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(path: str, text: str, index: int) -> Origin:
    return Origin(path, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def parse_yaml(path: str, text: str) -> Parsed:
    """Parse `text`. Errors become diagnostics; never raises."""
    composer: _Composer | None = None
    found: Diagnostic
    try:
        composer = _Composer(path, text)
        data = composer.document()
        return Parsed(data, composer.spans, composer.keys, tuple(composer.found))
    except _Refused as refused:
        assert composer is not None
        code, message, event, hint = refused.found
        composer.report(Severity.ERROR, code, message, event, hint)
        return Parsed(None, composer.spans, composer.keys, tuple(composer.found), broken=True)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = _place(path, text, mark.index) if mark else Origin(path)
        lines = text.splitlines()
        tabbed = mark is not None and mark.line < len(lines) and lines[mark.line].lstrip(" ").startswith("\t")
        hint = (
            "YAML indents with spaces, never with tabs"
            if tabbed
            else "look at the indentation, quotes and colons before it"
        )
        what = " ".join(filter(None, (error.problem, error.context))) or "this is not YAML"
        found = Diagnostic(Severity.ERROR, "yaml-syntax", what, where, hint)
    except yaml.YAMLError:
        # Not by the error's own place: libyaml counts bytes, and Python's reader characters.
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        where = _place(path, text, odd.start() if odd else 0)
        found = Diagnostic(Severity.ERROR, "yaml-syntax", "this character is not allowed in YAML", where,
                           "take it away, or write it as an escape in double quotes")  # fmt: skip
    return Parsed(None, diagnostics=(found,), broken=True)
