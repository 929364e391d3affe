"""After a resume the guest's clock stands where it stood, and its random pool is the one of every other resume."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from imagewright.communicators.ssh import SshGuest
from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError

COMMAND = """\
sudo -n sh -c '
date -u -s @{now:.3f} >/dev/null
if [ -c /dev/hwrng ]; then dd if=/dev/hwrng of=/dev/urandom bs=64 count=1 2>/dev/null; fi
if command -v python3 >/dev/null; then
  python3 -S -c "import fcntl; fcntl.ioctl(open(\\"/dev/urandom\\", \\"wb\\"), 0x5207)" 2>/dev/null
fi
true'
"""
"""0x5207 is RNDRESEEDCRNG. QEMU's vmgenid device tells kernels from 5.18 on by itself; this is for the others."""


def wake(guest: SshGuest, now: Callable[[], datetime], deadline: Deadline) -> None:
    """Set the clock and refresh the random pool, before anything else runs."""
    code, _ = guest.ask(COMMAND.format(now=now().timestamp()), deadline)
    if code != 0:
        raise PlatformError(f"the resumed guest could not be woken (exit code {code})")
