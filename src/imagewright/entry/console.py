"""Where words go: data to standard output, everything else to standard error, in the colours that fit."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from imagewright.core.errors import ImagewrightError
from imagewright.entry.pipe import write_lines
from imagewright.options import Color
from imagewright.render.paint import Paint


@dataclass(frozen=True)
class Console:
    out: TextIO
    err: TextIO
    environment: Mapping[str, str]

    @classmethod
    def of_process(cls) -> Console:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return cls(sys.stdout or _nowhere(), sys.stderr or _nowhere(), os.environ)

    def data(self, lines: Iterable[str]) -> None:
        write_lines(self.out, lines)

    def say(self, lines: Iterable[str]) -> None:
        with suppress(ImagewrightError):  # there is nowhere left to say that
            write_lines(self.err, lines)

    def paint(self, color: Color, stream: TextIO) -> Paint:
        match color:
            case Color.ALWAYS:
                return Paint(enabled=True)
            case Color.NEVER:
                return Paint()
            case Color.AUTO:
                return Paint(enabled=self._terminal(stream) and not self.environment.get("NO_COLOR"))

    def live(self, color: Color) -> bool:
        """Whether standard error can be repainted."""
        return color is not Color.NEVER and self._terminal(self.err)

    def _terminal(self, stream: TextIO) -> bool:
        return stream.isatty() and self.environment.get("TERM") != "dumb"


def _nowhere() -> TextIO:
    """For a stream that was closed. It also takes its number, which would else be that of the next file opened."""
    return Path(os.devnull).open("w", encoding="utf-8")
