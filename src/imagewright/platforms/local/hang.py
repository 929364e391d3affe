"""A guest that hangs while it boots: known by its silence, long before the boot's time is over.

Emulation with a thread for each processor may run a stale translation of code that the kernel patches meanwhile on
another processor; the guest then spins for ever, about once in some hundred boots (seen with QEMU 7.2).
"""

from __future__ import annotations

import re
from pathlib import Path

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import BuildTimeoutError, PlatformError
from imagewright.platforms.local.process import ANSWER_SECONDS, QemuProcess

LOOK_SECONDS = 5.0
SILENT_SECONDS = 90.0
"""A guest that boots prints, reads or writes; one that waits for something halts its processors."""


class HungError(PlatformError):
    """The guest does nothing any more and never will; another boot may go well."""


class HangWatch:
    """Looks at a guest until it has booted. Satisfies what SshGuest calls `alive`."""

    def __init__(self, running: QemuProcess, serial: Path, clock: Clock) -> None:
        self._running = running
        self._serial = serial
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._since = self._looked = clock.monotonic()
        self._over = False

    def booted(self) -> None:
        """What is silent and busy from now on is work."""
        self._over = True

    def alive(self) -> None:
        """Raises HostError as QemuProcess does, and HungError."""
        self._running.alive()
        now = self._clock.monotonic()
        if self._over or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            done = self._done()
            idle = self._idle()
        except (PlatformError, BuildTimeoutError):
            return  # QemuProcess says what is wrong with a QEMU that does not answer
        if idle or done != self._seen:
            self._seen, self._since = done, now
        elif now - self._since >= SILENT_SECONDS:
            raise HungError(
                f"the guest hangs: for {SILENT_SECONDS:.0f} s it has only been busy with itself",
                hint="build again; a newer QEMU, or `--cpus 1`, knows no such hang",
            )

    def _done(self) -> tuple[int, int]:
        """Bytes printed, and requests to disks."""
        printed = self._serial.stat().st_size if self._serial.exists() else 0
        disks = self._running.qmp.execute("query-blockstats", self._answer())
        return printed, sum(each["stats"][f"{kind}_operations"] for each in disks for kind in ("rd", "wr"))

    def _idle(self) -> bool:
        """Whether all processors are halted at this moment."""
        command: dict[str, object] = {"command-line": "info registers -a"}
        said = str(self._running.qmp.execute("human-monitor-command", self._answer(), command))
        return "0" not in re.findall(r"\bHLT=(\d)", said)

    def _answer(self) -> Deadline:
        return Deadline.after(self._clock, ANSWER_SECONDS, "QEMU's answer")
