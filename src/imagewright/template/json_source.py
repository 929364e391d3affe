"""JSON as people write it for ARM (comments, trailing commas, raw line ends in strings), with places."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NoReturn

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin
from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template.source import MAX_DEPTH, Parsed, Span, escape

_BLANK = re.compile(r"(?:\s++|//[^\n]*+|/\*.*?\*/)++", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)  # possessive: a string without an end must not backtrack
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,308})(\.\d+)?([eE][+-]?\d+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"[^\s,:\[\]{}\"/]+")
_PLACEHOLDER = re.compile(r"<[^<>\"\n]{1,100}>")
_SINGLE_QUOTED = re.compile(r"'[^'\n]*'")

_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_ALMOST = {"True": True, "False": False, "None": None, "TRUE": True, "FALSE": False, "NULL": None}

_BARE = (*_WORDS, *_ALMOST)
_SHOWN = 60
_MAX_ERRORS = 20
_MAX_WARNINGS = 500
"""What comes after so many is read, and not told of."""

_LOOK = "look at the quotes, commas and brackets before it"
_FILL = "write a template into it; `samples/` has some"


class _GiveUp(Exception):  # noqa: N818 (a jump, not an error)
    """What follows in the text cannot be understood any more."""


class _Parser:
    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.at = 0
        self.depth = 0
        self.pointer = ""
        self.lines = [0, *(found.end() for found in re.finditer(r"\n", text))]
        self.spans: dict[str, Span] = {}
        self.keys: dict[str, Span] = {}
        self.found: list[Diagnostic] = []
        self.errors = self.warnings = 0
        self.broken = False

    # --- places ---

    def span(self, start: int, end: int) -> Span:
        line = bisect_right(self.lines, start)
        column = start - self.lines[line - 1] + 1
        stop = self.text.find("\n", start, end)
        return Span(line, column, max(1, (end if stop < 0 else stop) - start))

    def report(
        self, code: str, message: str, start: int, end: int, hint: str = "", severity: Severity = Severity.ERROR
    ) -> None:
        self.warnings += severity is Severity.WARNING
        if severity is Severity.WARNING and self.warnings > _MAX_WARNINGS:
            return
        span = self.span(start, end)
        self.found.append(
            Diagnostic(
                severity, code, message, Origin(self.path, span.line, span.column, self.pointer, span.length), hint
            )
        )
        self.errors += severity is Severity.ERROR
        if self.errors >= _MAX_ERRORS:
            self.give_up()

    def give_up(self) -> NoReturn:
        self.broken = True
        raise _GiveUp

    def hopeless(self, message: str) -> NoReturn:
        self.report("json-syntax", message, self.at, self.at + 1, hint=_LOOK)
        self.give_up()

    # --- grammar ---

    def blank(self) -> None:
        if found := _BLANK.match(self.text, self.at):
            self.at = found.end()
        if self.text.startswith("/*", self.at):
            self.report("json-syntax", "this comment does not end", self.at, self.at + 2, "close it with */")
            self.give_up()

    def peek(self) -> str:
        self.blank()
        return self.text[self.at : self.at + 1]

    def document(self) -> object:
        if not self.peek():
            self.report("empty-file", "the file is empty", 0, 1, _FILL)
            self.give_up()
        value = self.value("")
        if self.peek():
            self.report("json-syntax", "there is more text after the end of the document", self.at, self.at + 1,
                        "a brace or bracket was probably closed too early")  # fmt: skip
            self.broken = True
        return value

    def value(self, pointer: str) -> object:
        self.pointer = pointer
        mark = self.peek()
        start = self.at
        value: object
        if mark == '"':
            value = self.string()
        elif mark in {"{", "["} and mark:
            if self.depth >= MAX_DEPTH:
                self.report("too-deep", f"more than {MAX_DEPTH} levels of nesting", start, start + 1,
                            "nest objects and lists less deeply")  # fmt: skip
                self.give_up()
            self.depth += 1
            self.at += 1
            value = self.members(pointer, start) if mark == "{" else self.items(pointer, start)
            self.depth -= 1
            self.spans[pointer] = self.span(start, start + 1)
            return value
        else:
            value = self.scalar(mark)
        self.spans[pointer] = self.span(start, self.at)
        return value

    def members(self, pointer: str, start: int) -> dict[str, object]:
        result: dict[str, object] = {}
        while (mark := self.peek()) != "}":
            if not mark:
                self.unclosed(start, "{", "}")
            key_at = self.at
            key = self.key(mark)
            key_end = self.at
            if self.peek() == ":":
                self.at += 1
            else:
                after = self.text[self.at : self.at + 1]
                self.report("json-syntax", f'there is no ":" after "{key}"', key_at, key_end,
                            f'write "{key}": and its value')  # fmt: skip
                if after not in {'"', "{", "["}:
                    self.give_up()
            child = self.pointer = f"{pointer}/{escape(key)}"
            if key in result:
                earlier = self.keys[child]
                self.report(
                    "duplicate-key",
                    f'"{key}" was given before, in line {earlier.line}; the last one counts',
                    key_at,
                    key_end,
                    "keep one of them",
                    Severity.WARNING,
                )
                self.forget(child, result[key])
            self.keys[child] = self.span(key_at, key_end)
            result[key] = self.value(child)
            self.pointer = pointer
            self.separator("}", start)
        self.at += 1
        return result

    def items(self, pointer: str, start: int) -> list[object]:
        result: list[object] = []
        while (mark := self.peek()) != "]":
            if not mark:
                self.unclosed(start, "[", "]")
            result.append(self.value(f"{pointer}/{len(result)}"))
            self.pointer = pointer
            self.separator("]", start)
        self.at += 1
        return result

    def separator(self, closing: str, start: int) -> None:
        """A comma, also a trailing one; a missing one is reported and taken as given."""
        end = self.at
        mark = self.peek()
        if mark == ",":
            self.at += 1
            while self.peek() == ",":
                self.report("json-syntax", "there is nothing between two commas", self.at, self.at + 1,
                            "take one away")  # fmt: skip
                self.at += 1
        elif mark == closing:
            return
        elif not mark:
            self.unclosed(start, "{" if closing == "}" else "[", closing)
        elif mark in {"}", "]"}:
            self.report("json-syntax", f'"{mark}" where "{closing}" closes', self.at, self.at + 1,
                        f'the "{self.text[start]}" to close is in line {self.span(start, start).line}')  # fmt: skip
            self.give_up()
        elif mark == ":":
            self.report("json-syntax", '":" is out of place', self.at, self.at + 1, _LOOK)
            self.give_up()
        else:
            self.report("json-syntax", 'there is no "," after this value', max(end - 1, 0), end, "put a comma here")

    def unclosed(self, start: int, opening: str, closing: str) -> NoReturn:
        self.report(
            "json-syntax", f'this "{opening}" is never closed', start, start + 1, f'add the missing "{closing}"'
        )
        self.give_up()

    def key(self, mark: str) -> str:
        start = self.at
        if mark == '"':
            return self.string()
        if found := (_SINGLE_QUOTED if mark == "'" else _WORD).match(self.text, start):
            self.at = found.end()
            key = found[0].strip("'")
            self.report(
                "json-syntax", f"the name {found[0]} is not in double quotes", start, self.at, f'write "{key}"'
            )
            return key
        return self.hopeless(f'"{mark}" where a name in double quotes is due')

    def string(self) -> str:
        start = self.at
        found = _STRING.match(self.text, start)
        if not found:
            self.report(
                "json-syntax", "this string does not end", start, len(self.text), "close it with a double quote"
            )
            self.give_up()
        self.at = found.end()
        raw = found[1]
        return self.unescape(raw, start + 1) if "\\" in raw else raw

    def unescape(self, raw: str, offset: int) -> str:
        def one(found: re.Match[str]) -> str:
            if found[1]:
                return chr(int(found[1], 16))
            if found[2] not in _SIMPLE:
                self.report(
                    "json-syntax",
                    f"{found[0]!r} is no escape sequence of JSON".replace("\\\\", "\\"),
                    offset + found.start(),
                    offset + found.end(),
                    "write a backslash as two of them",
                )
                return found[0]
            return _SIMPLE[found[2]]

        value = _ESCAPE.sub(one, raw)
        if any("\ud800" <= char <= "\udfff" for char in value):
            # Two escapes for one character beyond U+FFFF; a lone half becomes U+FFFD.
            value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return value

    def scalar(self, mark: str) -> object:
        start = self.at
        if found := _NUMBER.match(self.text, start):
            self.at = found.end()
            return float(found[0]) if found[1] or found[2] else int(found[0])
        if not self.pointer and not self.text.startswith(_BARE, start):
            hint = "is this really a template? Its first character is a {"
            self.report("json-syntax", "this is not JSON", start, start + 1, hint)
            self.give_up()
        if found := _PLACEHOLDER.match(self.text, start):
            self.at = found.end()
            self.report(
                "placeholder",
                f"{found[0]} was never filled in",
                start,
                self.at,
                "put a value in its place, in double quotes if it is text",
                Severity.WARNING,
            )
            return Unknown(f"{found[0]} was never filled in")
        if found := (_SINGLE_QUOTED if mark == "'" else _WORD).match(self.text, start):
            word = found[0]
            self.at = found.end()
            if word in _WORDS:
                return _WORDS[word]
            if word in _ALMOST:
                right = {True: "true", False: "false", None: "null"}[_ALMOST[word]]
                self.report("json-syntax", f"JSON does not know {word}", start, self.at, f"write {right}")
                return _ALMOST[word]
            if word.lstrip("+-") in {"NaN", "Infinity"}:
                self.report("json-syntax", f"JSON does not know {word}", start, self.at, "write a number")
                return REPORTED
            bare = word.strip("'")
            shown = word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…"
            hint = f'write "{bare}"' if shown == word else 'write "…" around it'
            self.report("json-syntax", f"{shown} is not in double quotes", start, self.at, hint)
            return bare
        return self.hopeless(f'"{mark}" where a value is due' if mark else "the text ends where a value is due")

    def forget(self, pointer: str, value: object) -> None:
        self.spans.pop(pointer, None)
        self.keys.pop(pointer, None)
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self.forget(f"{pointer}/{escape(str(key))}", item)


def parse_json(path: str, text: str) -> Parsed:
    """Parse `text`. Syntax errors become diagnostics; never raises."""
    parser = _Parser(path, text)
    try:
        data = parser.document()
    except _GiveUp:
        data = None
    return Parsed(data, parser.spans, parser.keys, tuple(parser.found), parser.broken)
