"""`WindowsRestart`: restart and wait until Windows answers again."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from imagewright.core.actions import Action, Reboot
from imagewright.core.shape import Shape, problem

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def _duration(text: str) -> str:
    if text and not re.fullmatch(rf"(?:{_PART.pattern})+", text):
        raise problem(
            "bad-duration", f"'{text}' is not a duration", hint="a number and a unit, for example 5m, 2h or 1h30m"
        )
    return text


class WindowsRestart(Shape):
    free_text: ClassVar = frozenset({"name", "restartCommand", "restartCheckCommand"})

    type: Literal["WindowsRestart"]
    name: str = ""
    restart_command: str = ""
    restart_check_command: str = ""
    restart_timeout: Annotated[str, AfterValidator(_duration)] = ""

    def seconds(self) -> float:
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(self.restart_timeout or "5m"))

    def actions(self) -> tuple[Action, ...]:
        return (Reboot(self.restart_command, self.restart_check_command, self.seconds()),)
