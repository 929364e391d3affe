"""What the agent of Azure Pipelines obeys: logging commands, anywhere in a line of standard output or error."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.errors import Severity
from imagewright.core.origin import Origin
from imagewright.core.secret import lines


def command(name: str, message: str = "", **properties: object) -> str:
    """`##vso[area.event key=value;]message`; properties that are empty or 0 are left out."""
    given = "".join(f"{key}={_property(str(value))};" for key, value in properties.items() if value)
    return f"##vso[{name}{' ' if given else ''}{given}]{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(";", "%3B").replace("]", "%5D")


def masks(value: str) -> list[str]:
    """The commands that hide `value` from every log of this job; the agent refuses a secret of several lines."""
    return [command("task.setsecret", line) for line in lines(value)]


@dataclass(frozen=True, slots=True)
class AzurePipelinesDialect:
    """Nothing stops the agent from obeying, so `##vso[` and `##[` are broken up in every line that is only shown."""

    def group(self, title: str) -> str:
        return f"##[group]{title}"

    def end_group(self) -> str:
        return "##[endgroup]"

    def annotation(self, severity: Severity, message: str, title: str, origin: Origin | None) -> str:
        place: dict[str, object] = {}
        if origin is not None:
            column = origin.column if origin.line else 0
            place = {"sourcepath": origin.file, "linenumber": origin.line, "columnnumber": column}
        return command("task.logissue", message, type=str(severity), **place, code=title)

    def debug(self, message: str) -> str:
        return command("task.debug", message)

    def progress(self, percent: int, what: str) -> list[str]:
        return [command("task.setprogress", what, value=str(percent))]

    def guest_begins(self) -> list[str]:
        return []

    def guest_ends(self) -> list[str]:
        return []

    def line(self, text: str) -> str:
        return text
