"""The customizers of AIB, one file each. The unions are the registry: to add one, write its file and name it here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from imagewright.customizers.file import File
from imagewright.customizers.power_shell import PowerShell
from imagewright.customizers.shell import Shell
from imagewright.customizers.windows_restart import WindowsRestart
from imagewright.customizers.windows_update import WindowsUpdate

Customizer = Annotated[Shell | PowerShell | WindowsRestart | WindowsUpdate | File, Field(discriminator="type")]

Validator = Annotated[Shell | PowerShell | File, Field(discriminator="type")]
"""What `inVMValidations` may hold: the same work, done on the validation VM."""

__all__ = ["Customizer", "File", "PowerShell", "Shell", "Validator", "WindowsRestart", "WindowsUpdate"]
