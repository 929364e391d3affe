"""A finding with the lines of the file that it is about, and a marker under the place."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

from imagewright.core.address import hidden
from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin
from imagewright.render.defuse import defuse, defuse_lines
from imagewright.render.paint import Paint

WIDTH = 110
"""Characters of a source line that are shown; a longer line is cut to what is around the place."""

BEFORE, AFTER = 2, 2


class Excerpts:
    """Shows places in files. `mask` takes secrets out; logins and signatures of addresses are never shown."""

    def __init__(self, paint: Paint | None = None, *, mask: Callable[[str], str] = str) -> None:
        self.paint = paint or Paint()
        self._files: dict[str, tuple[str, ...]] = {}
        self._secretive: dict[str, bool] = {}
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
        lines = self._lines_of(origin.file) if origin.line and not origin.private else ()
        if not 0 < origin.line <= len(lines):
            return [f"  --> {where}"]
        first, last = max(1, origin.line - BEFORE), min(len(lines), origin.line + AFTER)
        gutter = len(str(last))
        shown = [f"{' ' * gutter} --> {where}", self.paint.faint(f"{' ' * gutter} |")]
        for number in range(first, last + 1):
            text, marker = self._cut(lines[number - 1], origin if number == origin.line else None)
            shown.append(f"{self.paint.faint(f'{number:>{gutter}} |')} {defuse(text)}".rstrip())
            if marker:
                shown.append(f"{self.paint.faint(f'{chr(32) * gutter} |')} {self.paint.error(marker)}")
        return shown

    def hint(self, hint: str) -> list[str]:
        if not hint:
            return []
        first, *more = self.shown(hint)
        return [f"{self.paint.hint('hint')}: {first}", *more]

    def _cut(self, line: str, origin: Origin | None) -> tuple[str, str]:
        """The part of a line that is shown, and its marker under the origin. One in a secret covers its name."""
        at = origin.column - 1 if origin and origin.column else 0
        length = min(origin.length, WIDTH) if origin else 1
        if not self._holds_secret(line):  # a template in one line may have thousands of findings
            before = min(at, 2 * WIDTH)
            line, at = line[at - before : at + 2 * WIDTH], before
        text = self._visible(line)
        start = _shared(text, self._visible(line[:at]))
        end = _shared(text, self._visible(line[: at + length]))
        if len(text) > WIDTH:
            skip = max(0, min(start - WIDTH // 3, len(text) - WIDTH))
            left, right = "…" if skip else "", "…" if skip + WIDTH < len(text) else ""
            text = left + text[skip : skip + WIDTH] + right
            start, end = start - skip + len(left), end - skip + len(left)
        if origin is None or not origin.column:
            return text, ""
        return text, " " * start + "^" * max(1, min(end, len(text)) - start)

    def _visible(self, line: str) -> str:
        """`line` without secrets. A tab is as wide as four spaces."""
        return self._hide(line).replace("\t", "    ")

    def _holds_secret(self, line: str) -> bool:
        if line not in self._secretive:
            self._secretive[line] = self._hide(line) != line
        return self._secretive[line]

    def _hide(self, text: str) -> str:
        return hidden(self._mask(text))

    def _lines_of(self, file: str) -> tuple[str, ...]:
        if file not in self._files:
            self._files[file] = _read(file)
        return self._files[file]

    def shown(self, text: str) -> list[str]:
        """`text` as it may be shown: without secrets, harmless."""
        return defuse_lines(self._hide(text))


def _read(file: str) -> tuple[str, ...]:
    """Nothing of a pipe: what was in it has been read, and another reader would wait for more."""
    try:
        return _lines(Path(file).read_bytes()) if Path(file).is_file() else ()
    except (OSError, ValueError):
        return ()


def _lines(content: bytes) -> tuple[str, ...]:
    """Lines as an editor counts them: only LF and CRLF end one."""
    from imagewright.template.source import decode

    text = decode(content, "replace")
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    if one.startswith(other):
        return len(other)
    lengths = range(min(len(one), len(other)) + 1)
    return bisect_left(lengths, True, key=lambda length: one[:length] != other[:length]) - 1
