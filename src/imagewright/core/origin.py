"""Where a value was written: file, line, column and JSON pointer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a user's file.

    `line` and `column` start at 1; 0 means that the place inside the file is not known.
    `pointer` is an RFC 6901 JSON pointer (`""` is the whole document).
    `length` is how many characters the marker under the line covers.
    `private`: the lines of the file are never shown, it holds secrets.
    """

    file: str
    line: int = 0
    column: int = 0
    pointer: str = ""
    length: int = 1
    private: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file
