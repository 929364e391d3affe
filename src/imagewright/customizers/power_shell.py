"""`PowerShell`: a script on Windows, as the build user, elevated, or as SYSTEM."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import model_validator

from imagewright.core.actions import Action, Run, RunAs, Shell
from imagewright.core.shape import Known, Since, problem
from imagewright.customizers.script import Script


class PowerShell(Script):
    type: Literal["PowerShell"]
    run_elevated: Annotated[bool, Since("2019-05-01-preview")] = False
    run_as_system: Annotated[bool, Since("2020-02-14")] = False
    valid_exit_codes: tuple[Known[int], ...] = ()

    @model_validator(mode="after")
    def _system_is_elevated(self) -> Self:
        if self.run_as_system is True and self.run_elevated is False:
            raise problem(
                "run-as-system-needs-run-elevated",
                "'runAsSystem' is true but 'runElevated' is not",
                hint='add "runElevated": true',
                field="runAsSystem",
            )
        return self

    def actions(self) -> tuple[Action, ...]:
        run_as = RunAs.SYSTEM if self.run_as_system else RunAs.ELEVATED if self.run_elevated else RunAs.BUILD_USER
        return (Run(self.content(), Shell.POWERSHELL, run_as, self.valid_exit_codes or (0,)),)
