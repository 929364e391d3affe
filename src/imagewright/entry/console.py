"""Where words go: data to standard output, everything else to standard error, in the colours that fit."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

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
        return cls(sys.stdout, sys.stderr, os.environ)

    def data(self, lines: Iterable[str]) -> None:
        """Lines to standard output. A reader that has gone away (`| head`) wanted no more: that is no error."""
        self._write(self.out, lines)

    def say(self, lines: Iterable[str]) -> None:
        self._write(self.err, lines)

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

    def _write(self, stream: TextIO, lines: Iterable[str]) -> None:
        try:
            stream.writelines(f"{line}\n" for line in lines)
            stream.flush()
        except BrokenPipeError:
            _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    """Otherwise the interpreter complains once more when it flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
