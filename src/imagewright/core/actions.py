"""What can be done to a guest: upload a file, run a script, reboot, install updates.

Actions describe the work whole: the key of a checkpoint is made of them and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes that stand in the template itself. `text` uses LF."""

    text: str


@dataclass(frozen=True, slots=True)
class Remote:
    """Content behind a URI (or a local path) that was not read yet; it refuses to be hashed.

    `sha256` is what the user expects, lower-case hex, or `""`.
    """

    uri: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """Content that was read, checked and put into staging. Only `sha256` counts for a key."""

    sha256: str
    size: int
    name: str


Content = Inline | Remote | Staged


class Shell(StrEnum):
    SH = "sh"
    POWERSHELL = "powershell"


class RunAs(StrEnum):
    """Who runs a script: the user as logged in, one with full rights (sudo, elevated task), or the system."""

    BUILD_USER = "build-user"
    ELEVATED = "elevated"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Upload:
    """Put `content` at `destination` with the rights of the build user. `mode` is the Unix file mode."""

    content: Content
    destination: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Run:
    """Run `script` and expect one of `valid_exit_codes`. With `powers_off` it may end with the machine instead."""

    script: Content
    shell: Shell
    run_as: RunAs = RunAs.BUILD_USER
    valid_exit_codes: tuple[int, ...] = (0,)
    environment: tuple[tuple[str, str], ...] = ()
    powers_off: bool = False


@dataclass(frozen=True, slots=True)
class Reboot:
    """Restart the guest and wait until it answers. `timeout` in seconds; empty commands mean the default."""

    command: str = ""
    check_command: str = ""
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class InstallUpdates:
    """Windows Update, with reboots, until nothing is left that matches."""

    search_criteria: str
    filters: tuple[str, ...] = ()
    update_limit: int = 1000


Action = Upload | Run | Reboot | InstallUpdates
