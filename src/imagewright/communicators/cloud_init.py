"""Waiting for cloud-init at a guest's first boot."""

from __future__ import annotations

import json
from typing import Protocol

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError

WAIT = """\
command -v cloud-init >/dev/null || exit 0
seen=/run/cloud-init
while [ -e $seen/enabled ] && [ ! -e $seen/result.json ]; do
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -e $seen/result.json ] || sleep 0.5
  done
  systemctl -q is-failed cloud-init-local cloud-init cloud-config cloud-final && break
done
cat $seen/result.json 2>/dev/null || cloud-init status --wait
"""
"""cloud-init's own `status --wait` is a Python that competes with the one it waits for: it is asked only when there
is no result to read, because cloud-init is switched off, or one of its services failed."""


class Asked(Protocol):
    def ask(self, command: str, deadline: Deadline) -> tuple[int, str]: ...


def wait(guest: Asked, deadline: Deadline) -> None:
    """Return when cloud-init has done its work. Raises PlatformError with its errors if it failed."""
    code, said = guest.ask(WAIT, deadline)
    reason = _failure(code, said)
    if reason:
        raise PlatformError(
            f"cloud-init failed at the first boot: {reason}", hint="see /var/log/cloud-init.log in the guest"
        )


def _failure(code: int, said: str) -> str:
    """What cloud-init complains of; `said` is its result file, or what `cloud-init status` printed."""
    try:
        errors = json.loads(said)["v1"]["errors"]
        return "; ".join(str(error) for error in errors)
    except (ValueError, KeyError, TypeError, RecursionError):
        return said.strip(" .") or "no reason given" if code == 1 or "error" in said.split() else ""
