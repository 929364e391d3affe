"""A build VM's memory: a file without a name that we and QEMU share, so that keeping it is one copy of a file.

The state of the devices, a megabyte or two, goes through QEMU's migration, which is told to leave shared memory out.
"""

from __future__ import annotations

import os
from pathlib import Path

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.disks.sparse import copy
from imagewright.platforms.local.qmp import Qmp

RAM = "ram"
STATE = "state"
MIB = 1 << 20
CAPABILITIES: dict[str, object] = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}


class Memory:
    """The memory of one machine. Closing it frees it once QEMU has ended too."""

    def __init__(self, mebibytes: int) -> None:
        self.descriptor = os.memfd_create("imagewright-ram", 0)
        os.ftruncate(self.descriptor, mebibytes * MIB)

    def save(self, qmp: Qmp, directory: Path, deadline: Deadline) -> None:
        """Write the memory and the devices' state of a stopped machine into `directory`."""
        qmp.execute("migrate-set-capabilities", deadline, CAPABILITIES)
        with (directory / STATE).open("wb") as file:
            qmp.execute("getfd", deadline, {"fdname": STATE}, fd=file.fileno())
        qmp.execute("migrate", deadline, {"uri": f"fd:{STATE}"})
        while (state := qmp.execute("query-migrate", deadline)).get("status") != "completed":
            if state.get("status") in ("failed", "cancelled"):
                raise PlatformError(f"QEMU could not write its state: {state.get('error-desc', 'no reason given')}")
            deadline.wait(0.01)
        with (directory / RAM).open("wb") as file:
            copy(self.descriptor, file.fileno())

    def stop_saving(self, qmp: Qmp, deadline: Deadline) -> None:
        """After a `save` that failed: one that came to its end later would stop the machine again."""
        qmp.execute("migrate_cancel", deadline)

    def fill(self, directory: Path) -> None:
        """Take over the memory that was saved in `directory`, before QEMU starts."""
        with (directory / RAM).open("rb") as file:
            copy(file.fileno(), self.descriptor)

    def load(self, qmp: Qmp, directory: Path, deadline: Deadline) -> None:
        """Hand the devices' state to a QEMU that waits for it; the machine stays stopped."""
        qmp.execute("migrate-set-capabilities", deadline, CAPABILITIES)
        with (directory / STATE).open("rb") as file:
            qmp.execute("getfd", deadline, {"fdname": STATE}, fd=file.fileno())
        qmp.execute("migrate-incoming", deadline, {"uri": f"fd:{STATE}"})
        while qmp.execute("query-status", deadline)["status"] == "inmigrate":
            deadline.wait(0.01)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
