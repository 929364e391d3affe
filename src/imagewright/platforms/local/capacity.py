"""What this machine gives to a build VM: an accelerator, processors, memory."""

from __future__ import annotations

import os

from imagewright.core.events import Emit, Note
from imagewright.platforms import Settings
from imagewright.platforms.local import accelerator
from imagewright.platforms.local.accelerator import Accelerator
from imagewright.platforms.local.background import Background

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 2048
MOST_CPUS = 4


class Capacity:
    """The accelerator is told when it is first needed."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self._settings = settings
        self._emit = emit
        self._choosing: Background[Accelerator] | None = None
        self._chosen: Accelerator | None = None

    def choose(self) -> Background[Accelerator]:
        """Looking for the accelerator may take seconds, the first time: it begins as soon as there is a plan."""
        if self._choosing is None:
            home, wanted, binary = self._settings.home, self._settings.accelerator, self.binary
            self._choosing = Background(lambda: accelerator.choose(home, binary, wanted))
        return self._choosing

    @property
    def accelerator(self) -> Accelerator:
        if self._chosen is None:
            self._chosen = self.choose().join()
            self._emit(Note(f"accelerator {self._chosen.name}: {self._chosen.why}"))
        return self._chosen

    @property
    def binary(self) -> str:
        return QEMU

    @property
    def cpus(self) -> int:
        return self._settings.cpus or min(MOST_CPUS, os.cpu_count() or 1)

    @property
    def memory_mib(self) -> int:
        return self._settings.memory_mib or MEMORY_MIB
