"""Colours for plain text. Nothing is said by colour alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paint:
    enabled: bool = False

    def error(self, text: str) -> str:
        return self._in("1;31", text)

    def warning(self, text: str) -> str:
        return self._in("1;33", text)

    def good(self, text: str) -> str:
        return self._in("32", text)

    def faint(self, text: str) -> str:
        return self._in("2", text)

    def hint(self, text: str) -> str:
        return self._in("36", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.enabled and text else text
