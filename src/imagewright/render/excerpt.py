"""A finding with the lines of the file that it is about, and a marker under the place."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin
from imagewright.render.defuse import defuse, defuse_lines
from imagewright.render.paint import Paint

WIDTH = 110
"""Characters of a source line that are shown; a longer line is cut to what is around the place."""

BEFORE, AFTER = 2, 2


class Excerpts:
    """Shows places in files. `mask` takes secrets out."""

    def __init__(self, paint: Paint | None = None, *, mask: Callable[[str], str] = str) -> None:
        self.paint = paint or Paint()
        self._files: dict[str, tuple[str, ...]] = {}
        self._mask = mask

    def remember(self, name: str, content: bytes) -> None:
        """The content of what is no file (`-`)."""
        self._files[name] = _lines(content)

    def diagnostic(self, found: Diagnostic) -> list[str]:
        """The whole finding: what, where, the lines, the hint."""
        word = str(found.severity)
        severe = self.paint.error(word) if found.severity is Severity.ERROR else self.paint.warning(word)
        first, *more = self.shown(found.message)
        head = f"{severe}: {first} {self.paint.faint(f'[{found.code}]')}"
        return [head, *more, *self.place(found.origin), *self.hint(found.hint)]

    def error(self, message: str, origin: Origin | None = None) -> list[str]:
        """An error that is no diagnostic: the message, and the place where there is one."""
        first, *more = self.shown(message)
        return [f"{self.paint.error('error')}: {first}", *more, *(self.place(origin) if origin else ())]

    def place(self, origin: Origin) -> list[str]:
        """`--> file:line:column pointer` and, where the line is known, the lines around it."""
        where = defuse(str(origin) + (f"  {origin.pointer}" if origin.pointer else ""))
        lines = self._lines_of(origin.file)
        if not 0 < origin.line <= len(lines):
            return [f"  --> {where}"]
        first, last = max(1, origin.line - BEFORE), min(len(lines), origin.line + AFTER)
        gutter = len(str(last))
        shown = [f"{' ' * gutter} --> {where}", self.paint.faint(f"{' ' * gutter} |")]
        for number in range(first, last + 1):
            text, marker = _cut(lines[number - 1], origin if number == origin.line else None)
            shown.append(f"{self.paint.faint(f'{number:>{gutter}} |')} {defuse(self._mask(text))}".rstrip())
            if marker:
                shown.append(f"{self.paint.faint(f'{chr(32) * gutter} |')} {self.paint.error(marker)}")
        return shown

    def hint(self, hint: str) -> list[str]:
        if not hint:
            return []
        first, *more = self.shown(hint)
        return [f"{self.paint.hint('hint')}: {first}", *more]

    def _lines_of(self, file: str) -> tuple[str, ...]:
        if file not in self._files:
            self._files[file] = _read(file)
        return self._files[file]

    def shown(self, text: str) -> list[str]:
        """`text` as it may be shown: without secrets, harmless."""
        return defuse_lines(self._mask(text))


def _read(file: str) -> tuple[str, ...]:
    try:
        return _lines(Path(file).read_bytes())
    except (OSError, ValueError):
        return ()


def _lines(content: bytes) -> tuple[str, ...]:
    """Lines as an editor counts them: only LF and CRLF end one."""
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = content.decode(encoding, errors="replace")
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))


def _cut(line: str, origin: Origin | None) -> tuple[str, str]:
    """The part of a line that is shown and, under the origin, its marker. A tab is as wide as four spaces."""
    column = origin.column if origin and origin.column else 1
    before = line[: column - 1].replace("\t", "    ")
    text = before + line[column - 1 :].replace("\t", "    ")
    marker_at = len(before)
    if len(text) > WIDTH:
        start = max(0, min(marker_at - WIDTH // 3, len(text) - WIDTH))
        cut = text[start : start + WIDTH]
        left, right = "…" if start else "", "…" if start + WIDTH < len(text) else ""
        text, marker_at = left + cut + right, marker_at - start + len(left)
    if origin is None or not origin.column:
        return text, ""
    length = max(1, min(origin.length, len(text) - marker_at))
    return text, " " * marker_at + "^" * length
