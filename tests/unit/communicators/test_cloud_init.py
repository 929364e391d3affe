from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from imagewright.communicators import cloud_init
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import PlatformError


class Guest:
    """Runs what it is asked on this machine, with a `/run/cloud-init` and a cloud-init of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.run.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.failed = False

    def command(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def ask(self, command: str, deadline: Deadline) -> tuple[int, str]:
        script = command.replace("/run/cloud-init", str(self.run))
        done = subprocess.run(
            ["sh", "-c", script],
            env={"PATH": f"{self.bin}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    made = Guest(tmp_path)
    made.command("cloud-init", "echo status: error; exit 1")
    made.command("systemctl", "exit 1")
    made.command("sleep", "exit 0")
    return made


def wait(guest: Guest) -> None:
    cloud_init.wait(guest, Deadline.after(SystemClock(), 20, "cloud-init"))


def result(errors: list[str]) -> str:
    return json.dumps({"v1": {"datasource": "NoCloud", "errors": errors}})


def test_a_guest_without_cloud_init_is_ready(guest: Guest) -> None:
    (guest.bin / "cloud-init").unlink()
    wait(guest)


def test_a_result_without_errors_is_success_and_cloud_init_is_not_asked(guest: Guest) -> None:
    (guest.run / "enabled").touch()
    (guest.run / "result.json").write_text(result([]))
    wait(guest)


def test_the_result_is_waited_for(guest: Guest) -> None:
    (guest.run / "enabled").touch()
    slept, done = guest.bin / "slept", guest.run / "result.json"
    guest.command("sleep", f"echo x >>{slept}; [ $(wc -l <{slept}) -lt 25 ] || echo '{result([])}' >{done}")
    wait(guest)
    assert (guest.run / "result.json").exists()


def test_its_errors_are_told(guest: Guest) -> None:
    (guest.run / "enabled").touch()
    (guest.run / "result.json").write_text(result(["('scripts_user', RuntimeError('no'))", "second"]))
    with pytest.raises(PlatformError, match=r"cloud-init failed at the first boot: .*no.*; second"):
        wait(guest)


def test_a_service_that_failed_ends_the_wait(guest: Guest) -> None:
    (guest.run / "enabled").touch()
    guest.command("systemctl", "exit 0")
    with pytest.raises(PlatformError, match="cloud-init failed at the first boot: status: error"):
        wait(guest)


def test_a_cloud_init_that_is_switched_off_is_asked_itself(guest: Guest) -> None:
    guest.command("cloud-init", 'echo "status: disabled"')
    wait(guest)
