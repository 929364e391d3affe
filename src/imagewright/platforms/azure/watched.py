"""A guest whose failures are looked at twice: when it stops answering, Azure may have taken the machine away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from imagewright.core.actions import InstallUpdates, Reboot, Run
from imagewright.core.clock import Deadline
from imagewright.core.errors import GuestError
from imagewright.core.ports import Guest, OutputSink

Result = TypeVar("Result")


class Watched:
    """Satisfies core.ports.Guest. `look` raises when it is the machine that failed, with Azure's reason."""

    def __init__(self, guest: Guest, look: Callable[[], None]) -> None:
        self._guest = guest
        self._look = look

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        return self._watch(lambda: self._guest.run(run, content, output, deadline))

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        self._watch(lambda: self._guest.upload(content, destination, mode, deadline))

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        self._watch(lambda: self._guest.reboot(reboot, output, deadline))

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        self._watch(lambda: self._guest.install_updates(updates, output, deadline))

    def close(self) -> None:
        self._guest.close()

    def _watch(self, do: Callable[[], Result]) -> Result:
        try:
            return do()
        except GuestError:
            self._look()
            raise
