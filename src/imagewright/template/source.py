"""Text to plain data, and where in the text each value stands."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin

MAX_DEPTH = 64
"""How deep objects and lists may nest: far beyond any template, far below Python's recursion limit."""

MAX_BYTES = 4 << 20
"""Azure Resource Manager's own limit for a template."""


@dataclass(frozen=True, slots=True)
class Span:
    """`line` and `column` start at 1 and count characters; `length` stays within the first line."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Parsed:
    """`data` is made of dict, list, str, int, float, bool, None and Unknown. `broken`: it may lack parts of the text.

    `spans` says where each value stands, `keys` where its name stands, both by JSON pointer.
    """

    data: object
    spans: Mapping[str, Span] = field(default_factory=dict)
    keys: Mapping[str, Span] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read. `private`: it may hold secrets, so its lines are never shown."""

    path: str
    text: str
    parsed: Parsed
    private: bool = False

    @property
    def data(self) -> object:
        return self.parsed.data

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self.parsed.diagnostics

    @property
    def broken(self) -> bool:
        return self.parsed.broken

    def origin(self, pointer: str = "", *, key: bool = False) -> Origin:
        """Where the value at `pointer` stands, or its name; for what is not in the text, what would contain it."""
        place = pointer
        span = self.parsed.keys.get(place) if key else None
        while span is None:
            span = self.parsed.spans.get(place)
            if span is None and not place:
                return Origin(self.path, pointer=pointer, private=self.private)
            place = place.rpartition("/")[0]
        return Origin(self.path, span.line, span.column, pointer, span.length, self.private)


def escape(key: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def read_private(path: str) -> Document:
    """Read a file that may hold secrets: no line of it is shown, and what was wrong in it is not quoted."""
    document = read(path)
    lines = document.text.split("\n")

    def silenced(found: Diagnostic) -> Diagnostic:
        where = replace(found.origin, private=True)
        line = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
        quoted = line[max(0, where.column - 1) : where.column - 1 + where.length]
        message, hint = found.message, found.hint
        for part in (quoted, quoted.strip("'*&!")):
            if len(part) > 1:
                message, hint = message.replace(part, "…"), hint.replace(part, "…")
        return replace(found, origin=where, message=message, hint=hint)

    parsed = replace(document.parsed, diagnostics=tuple(map(silenced, document.diagnostics)))
    return replace(document, parsed=parsed, private=True)


def read(path: str, text: bytes | None = None) -> Document:
    """Read a template or parameters file; nothing that is in it raises an exception. `text` spares reading `path`."""
    if text is None:
        try:
            with Path(path).open("rb") as file:  # some have no end, and no size either
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            return _unreadable(path, "cannot-read", f"{path} cannot be read: {reason}", "check the path")
        except ValueError:
            return _unreadable(path, "cannot-read", f"{path!r} is not a path", "check the path")
    if len(text) > MAX_BYTES:
        return _unreadable(path, "file-too-large", f"{path} is larger than 4 MiB", "is this really a template?")
    suffix = PurePath(path).suffix.lower()
    if suffix in {".bicep", ".bicepparam"}:
        command = "build" if suffix == ".bicep" else "build-params"
        hint = f"run `az bicep {command} --file {path}` and give the JSON that it writes"
        return _unreadable(path, "bicep", "Bicep is not read directly", hint)
    try:
        decoded = decode(text)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        where = Origin(path, line, column)
        message = f"byte 0x{text[error.start]:02x} is not valid {error.encoding.upper()}"
        found = Diagnostic(Severity.ERROR, "bad-encoding", message, where, "save the file as UTF-8")
        return Document(path, text.decode("latin-1"), Parsed(None, diagnostics=(found,), broken=True))
    if _is_json(suffix, decoded):
        from imagewright.template.json_source import parse_json as parse
    else:
        from imagewright.template.yaml_source import parse_yaml as parse
    return Document(path, decoded, parse(path, decoded))


def decode(raw: bytes, errors: str = "strict") -> str:
    """The text of a file: UTF-8, or the UTF-16 of some editors, with or without its byte order mark."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors)
    if raw[:1] == b"\0" or raw[1:2] == b"\0":
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le", errors)
    return raw.decode("utf-8-sig", errors)


def _is_json(suffix: str, text: str) -> bool:
    if suffix in {".json", ".jsonc"}:
        return True
    if suffix in {".yaml", ".yml"}:
        return False
    start = text.lstrip()[:2]
    return start[:1] in {"{", "["} or start in {"//", "/*"}


def _unreadable(path: str, code: str, message: str, hint: str) -> Document:
    found = Diagnostic(Severity.ERROR, code, message, Origin(path), hint)
    return Document(path, "", Parsed(None, diagnostics=(found,), broken=True))
