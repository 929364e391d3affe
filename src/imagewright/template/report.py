"""Collects diagnostics: all at once, each once, in the order of the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin
from imagewright.core.secret import Mask


class Report:
    """What was found so far. `unknowns` is how grave a value is that nobody knows: a warning, or an error.

    `mask` takes secrets out of what is finally shown.
    """

    def __init__(self, unknowns: Severity = Severity.WARNING) -> None:
        self._unknowns = unknowns
        self.mask = Mask()
        self._found: dict[tuple[str, str, Origin], Diagnostic] = {}
        self._said: set[str] = set()

    def error(self, code: str, message: str, origin: Origin, hint: str = "") -> None:
        self.add(Diagnostic(Severity.ERROR, code, message, origin, hint))

    def warning(self, code: str, message: str, origin: Origin, hint: str = "") -> None:
        self.add(Diagnostic(Severity.WARNING, code, message, origin, hint))

    def unknown(self, code: str, message: str, origin: Origin, hint: str = "") -> None:
        self.add(Diagnostic(self._unknowns, code, message, origin, hint))

    def add(self, diagnostic: Diagnostic) -> None:
        self._found.setdefault((diagnostic.code, diagnostic.message, diagnostic.origin), diagnostic)

    def once(self, code: str) -> bool:
        """Whether this is the first time that somebody asks about `code`."""
        first = code not in self._said
        self._said.add(code)
        return first

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over what a parser has found. It cannot know how grave an unfilled placeholder is."""
        for found in diagnostics:
            self.add(replace(found, severity=self._unknowns) if found.code == "placeholder" else found)

    @property
    def failed(self) -> bool:
        return any(found.severity is Severity.ERROR for found in self._found.values())

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        def place(found: Diagnostic) -> tuple[str, int, int, str]:
            return found.origin.file, found.origin.line, found.origin.column, found.code

        shown = (
            replace(found, message=self.mask(found.message), hint=self.mask(found.hint))
            for found in self._found.values()
        )
        return tuple(sorted(shown, key=place))
