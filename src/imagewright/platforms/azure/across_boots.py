"""What a resume must find as it was, though its machine boots, and is another one for whoever asks Azure.

A boot empties /tmp, or it is in memory: the deprovisioning script is there, and so is what File customizers brought,
which may write nowhere else. And cloud-init takes the machine for a new instance, which it would set up as at the
first boot: the package sources, the locale, the SSH server's settings that customizers have changed.
"""

from __future__ import annotations

from collections import deque

from imagewright.core.actions import Inline, Run, RunAs, Shell
from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ports import Guest

_PLACES = """#!/bin/sh
kept=/var/lib/imagewright/tmp
settings=/etc/cloud/cloud.cfg.d
quiet=$settings/zz-imagewright-resume.cfg
"""
_KEEP = f"""{_PLACES}
rm -rf "$kept"
mkdir -p "${{kept%/*}}" && cp -ax /tmp "$kept" && rm -rf "$kept/${{0##*/}}" "$kept"/systemd-private-* || {{
  rm -rf "$kept"
  exit 1
}}
if [ -d "$settings" ] && [ ! -e "$quiet" ]; then
  cat > "$quiet" <<'END' || exit
# The machine that resumes is a new instance for cloud-init; its disk has been set up already.
cloud_init_modules: [growpart, resizefs, disk_setup, mounts]
cloud_config_modules: []
cloud_final_modules: [final-message]
END
  : > "$kept.quiet"
fi
sync
"""
_BRING_BACK = f"""{_PLACES}
rm -f "$kept.quiet"
[ -d "$kept" ] || exit 0
cp -a "$kept"/. /tmp/ && rm -rf "$kept"
"""
_FORGET = f"""{_PLACES}
rm -rf "$kept"
if [ -e "$kept.quiet" ]; then rm -f "$quiet" "$kept.quiet"; fi
"""


def keep(guest: Guest, deadline: Deadline) -> None:
    """Prepare the disks for a boot that changes nothing, and write everything to them."""
    _run(guest, _KEEP, "what is in /tmp could not be kept for a resume", deadline)


def forget(guest: Guest, deadline: Deadline) -> None:
    """Take the preparations back: the machine itself goes on without a boot.

    One that was resumed keeps what cloud-init is told: of its second life, cloud-init has set up nothing.
    """
    _run(guest, _FORGET, "what was kept for a resume could not be deleted", deadline)


def bring_back(guest: Guest, deadline: Deadline) -> None:
    """After the boot of a machine that was kept."""
    _run(guest, _BRING_BACK, "what was in /tmp could not be put back", deadline)


def _run(guest: Guest, script: str, failure: str, deadline: Deadline) -> None:
    said: deque[str] = deque(maxlen=3)
    run = Run(Inline(script), Shell.SH, RunAs.ELEVATED)
    if guest.run(run, script.encode(), lambda line, _stream: said.append(line), deadline):
        raise PlatformError(f"{failure}: {' '.join(said)}", hint="look whether the guest's disk is full")
