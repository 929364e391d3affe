"""What Shell and PowerShell have in common: `inline` or `scriptUri`, never both."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from imagewright.core.actions import Content, Inline, Remote
from imagewright.core.shape import Known, Shape, Since, problem

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""64 lower-case hex digits, or nothing."""


class Script(Shape):
    renamed: ClassVar = {"script": "scriptUri"}
    free_text: ClassVar = frozenset({"inline", "name"})

    name: str = ""
    script_uri: str = ""
    inline: tuple[Known[str], ...] = ()
    sha256_checksum: Annotated[Sha256, Since("2019-05-01-preview")] = ""

    @model_validator(mode="after")
    def _one_of_inline_and_uri(self) -> Self:
        kind = type(self).__name__
        code = f"{kind.lower()}-inline-xor-uri"
        if self.inline and self.script_uri:
            raise problem(
                code,
                f"{kind} has both 'inline' and 'scriptUri'",
                hint="keep exactly one of the two",
                field="scriptUri",
            )
        if not self.inline and not self.script_uri:
            raise problem(
                code,
                f"{kind} has neither 'inline' nor 'scriptUri'",
                hint="give the commands as the list 'inline', or the address of a script as 'scriptUri'",
            )
        return self

    def content(self, first_line: str = "") -> Content:
        """The script: remote, or all lines of `inline` as one, below `first_line` unless they bring a `#!`."""
        if self.script_uri:
            return Remote(self.script_uri, self.sha256_checksum)
        lines = [line.replace("\r\n", "\n") for line in self.inline]
        if first_line and not lines[0].startswith("#!"):
            lines.insert(0, first_line)
        return Inline("\n".join(lines) + "\n")
