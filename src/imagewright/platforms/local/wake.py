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
[ -c /dev/hwrng ] && dd if=/dev/hwrng of=/dev/urandom bs=64 count=1 2>/dev/null
read -r release < /proc/sys/kernel/osrelease
case "$release" in
  [1-4].* | 5.?.* | 5.?-* | 5.1[0-7].*)
    python3 -S -c "import fcntl; fcntl.ioctl(open(\\"/dev/urandom\\", \\"wb\\"), 0x5207)" ;;
esac
true'
"""
"""From 5.18 on QEMU's vmgenid device makes the kernel reseed by itself; before, RNDRESEEDCRNG (0x5207) does."""


def wake(guest: SshGuest, now: Callable[[], datetime], deadline: Deadline) -> None:
    """Set the clock and refresh the random pool, before anything else runs."""
    code, _ = guest.ask(COMMAND.format(now=now().timestamp()), deadline)
    if code != 0:
        raise PlatformError(f"the resumed guest could not be woken (exit code {code})")
