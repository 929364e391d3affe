from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import PlatformError
from imagewright.platforms.local.wake import wake

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Shell:
    """Runs what the guest is asked on this machine, with commands of the test's own in front of all others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command("sudo", 'shift; exec "$@"')
        for name in ("date", "dd", "python3"):
            self.command(name, f'echo "{name} $*" >>{folder}/ran')

    def command(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def ask(self, command: str, deadline: Deadline) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", command.replace("/sys/bus", str(self.folder / "bus"))],
            env={"PATH": f"{self.folder}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def woken(shell: Shell) -> None:
    wake(shell, lambda: NOW, Deadline.after(SystemClock(), 20, "waking"))


def test_the_clock_is_set_and_fresh_bytes_are_mixed_in(shell: Shell, tmp_path: Path) -> None:
    woken(shell)
    ran = (tmp_path / "ran").read_text().splitlines()
    assert ran[0] == f"date -u -s @{NOW.timestamp():.3f}"
    assert ran[1].startswith("dd if=/dev/hwrng of=/dev/urandom")


def test_a_clock_that_cannot_be_set_is_an_error(shell: Shell) -> None:
    shell.command("date", "exit 1")
    with pytest.raises(PlatformError, match="could not be woken: its clock could not be set"):
        woken(shell)


@pytest.mark.parametrize("broken", ["dd", "python3"])
def test_a_random_pool_that_cannot_be_refreshed_is_an_error(shell: Shell, broken: str) -> None:
    shell.command(broken, "exit 1")
    with pytest.raises(PlatformError, match="could not be woken: its random pool could not be refreshed"):
        woken(shell)


@pytest.mark.parametrize("bus", ["acpi", "platform"])
def test_a_kernel_that_reseeds_by_itself_needs_nothing_else(shell: Shell, bus: str) -> None:
    (shell.folder / "bus" / bus / "drivers" / "vmgenid").mkdir(parents=True)
    shell.command("python3", "exit 1")
    shell.command("dd", "exit 1")
    woken(shell)


def test_a_guest_without_sudo_is_told_by_its_exit_code(shell: Shell) -> None:
    shell.command("sudo", "exit 1")
    with pytest.raises(PlatformError, match="exit code 1"):
        woken(shell)
