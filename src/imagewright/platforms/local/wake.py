"""After a resume the guest's clock stands where it stood, and its random pool is the one of every other resume."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError

COMMAND = """\
sudo -n sh -c '
date -u -s @{now:.3f} >/dev/null || {{ echo "its clock could not be set"; exit 1; }}
dd if=/dev/hwrng of=/dev/urandom bs=64 count=1 2>/dev/null; mixed=$?
[ -d /sys/bus/acpi/drivers/vmgenid ] || [ -d /sys/bus/platform/drivers/vmgenid ] && exit 0
python=$(command -v python3 || echo /usr/libexec/platform-python)
[ $mixed = 0 ] &&
  $python -S -c "import fcntl; fcntl.ioctl(open(\\"/dev/urandom\\", \\"wb\\"), 0x5207)" ||
  {{ echo "its random pool could not be refreshed"; exit 1; }}'
"""
"""A kernel with a driver for QEMU's vmgenid device has reseeded by itself; on others fresh bytes are mixed in, and
RNDRESEEDCRNG (0x5207) makes them count at once. The Python of RHEL 8 and its kin is not on the PATH."""


class Asked(Protocol):
    def ask(self, command: str, deadline: Deadline) -> tuple[int, str]: ...


def wake(guest: Asked, now: Callable[[], datetime], deadline: Deadline) -> None:
    """Set the clock and refresh the random pool, before anything else runs. Raises PlatformError if either fails."""
    code, said = guest.ask(COMMAND.format(now=now().timestamp()), deadline)
    if code != 0:
        raise PlatformError(f"the resumed guest could not be woken: {said.strip() or f'exit code {code}'}")
