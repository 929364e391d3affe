"""What GitHub's runner obeys: workflow commands on standard output, each a line of its own."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.clock import fresh_name
from imagewright.core.errors import Severity
from imagewright.core.origin import Origin
from imagewright.core.secret import lines
from imagewright.render.defuse import no_command


def command(name: str, message: str = "", **properties: object) -> str:
    """`::name key=value,key=value::message`; properties that are empty or 0 are left out."""
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value)
    return f"::{name}{' ' if given else ''}{given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def masks(value: str) -> list[str]:
    """The commands that hide `value` from every log of this job; the runner would mask its shortest line too."""
    return [command("add-mask", line) for line in lines(value)]


@dataclass(frozen=True, slots=True)
class GitHubDialect:
    """While strangers speak, commands are stopped by a token that only this process knows."""

    token: str

    @classmethod
    def fresh(cls) -> GitHubDialect:
        return cls(f"imagewright-{fresh_name(24)}")

    def group(self, title: str) -> str:
        return command("group", title)

    def end_group(self) -> str:
        return command("endgroup")

    def annotation(self, severity: Severity, message: str, title: str, origin: Origin | None) -> str:
        if origin is None:
            return command(str(severity), message, title=title)
        column = origin.column if origin.line else 0
        return command(str(severity), message, file=origin.file, line=origin.line, col=column, title=title)

    def debug(self, message: str) -> str:
        return command("debug", message)

    def progress(self, percent: int, what: str) -> list[str]:
        return []

    def guest_begins(self) -> list[str]:
        return [command("stop-commands", self.token)]

    def guest_ends(self) -> list[str]:
        return [f"::{self.token}::"]

    def line(self, text: str) -> str:
        return no_command(text)
