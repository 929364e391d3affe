"""`Shell`: a script on Linux, run by the build user. `inline` is one script: `cd` and variables last."""

from __future__ import annotations

from typing import Literal

from imagewright.core import actions
from imagewright.customizers.script import Script


class Shell(Script):
    type: Literal["Shell"]

    def actions(self) -> tuple[actions.Action, ...]:
        return (actions.Run(self.content("#!/bin/sh -e"), actions.Shell.SH),)
