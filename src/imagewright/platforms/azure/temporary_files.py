"""What is in /tmp, across a resume: the machine of one boots, and a boot empties /tmp (or it is in memory).

The deprovisioning script is there, and so is what File customizers brought: they may write nowhere else.
"""

from __future__ import annotations

from collections import deque

from imagewright.core.actions import Inline, Run, RunAs, Shell
from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ports import Guest

_KEPT = "kept=/var/lib/imagewright/tmp\n"
_KEEP = f"""#!/bin/sh
{_KEPT}
rm -rf "$kept"
mkdir -p "${{kept%/*}}" && cp -a /tmp "$kept" && rm -rf "$kept/${{0##*/}}" "$kept"/systemd-private-* && sync && exit
rm -rf "$kept"
exit 1
"""
_BRING_BACK = f"""#!/bin/sh
{_KEPT}
[ -d "$kept" ] || exit 0
cp -a "$kept"/. /tmp/ && rm -rf "$kept"
"""
_FORGET = f"""#!/bin/sh
{_KEPT}
rm -rf "$kept"
"""


def keep(guest: Guest, deadline: Deadline) -> None:
    """Copy it to where a boot leaves it, and write everything to the disks."""
    _run(guest, _KEEP, "what is in /tmp could not be kept for a resume", deadline)


def forget(guest: Guest, deadline: Deadline) -> None:
    """Take the copy away again: the machine itself goes on without a boot."""
    _run(guest, _FORGET, "the copy of /tmp could not be deleted", deadline)


def bring_back(guest: Guest, deadline: Deadline) -> None:
    """After the boot of a machine that was kept."""
    _run(guest, _BRING_BACK, "what was in /tmp could not be put back", deadline)


def _run(guest: Guest, script: str, failure: str, deadline: Deadline) -> None:
    said: deque[str] = deque(maxlen=3)
    run = Run(Inline(script), Shell.SH, RunAs.ELEVATED)
    if guest.run(run, script.encode(), lambda line, _stream: said.append(line), deadline):
        raise PlatformError(f"{failure}: {' '.join(said)}", hint="look whether the guest's disk is full")
