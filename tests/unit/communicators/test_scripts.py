"""What is sent to a guest, to the letter: a change here changes what every Shell customizer does."""

from __future__ import annotations

import dataclasses

import pytest

from imagewright.communicators.scripts import WAIT_WHILE_STOPPING, Prepared, prepare, unix_lines
from imagewright.core.actions import Inline, Run, RunAs, Shell

RUN = Run(Inline(""), Shell.SH)
PACKER = "PACKER_BUILD_NAME=imagewright PACKER_BUILDER_TYPE=azure-arm"
RECEIVE = f"{WAIT_WHILE_STOPPING}; umask 077 && cat > /tmp/script_7.sh"
FRAME = (
    "chmod 0755 /tmp/script_7.sh && chmod +x /tmp/script_7.sh; {}; status=$?; "
    "printf '%*s' 15 '' 1<>/tmp/script_7.sh; rm -f /tmp/script_7.sh; exit $status"
)
SUDO = "sudo -n env"


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, f"{PACKER} /tmp/script_7.sh"),
        ({"run_as": RunAs.ELEVATED}, f"{SUDO} {PACKER} /tmp/script_7.sh"),
        ({"run_as": RunAs.SYSTEM}, f"{SUDO} {PACKER} /tmp/script_7.sh"),
        ({"environment": (("NAME", "value"),)}, f"{PACKER} NAME=value /tmp/script_7.sh"),
        (
            {"environment": (("A", "it's $(not) run; `at all`"), ("B", ""))},
            f"{PACKER} A='it'\"'\"'s $(not) run; `at all`' B='' /tmp/script_7.sh",
        ),
        ({"valid_exit_codes": (0, 3010)}, f"{PACKER} /tmp/script_7.sh"),
    ],
)
def test_a_script_is_put_run_overwritten_and_removed(changes: dict[str, object], command: str) -> None:
    prepared = prepare(dataclasses.replace(RUN, **changes), b"#!/bin/sh\necho\n", 7)
    assert prepared == Prepared(b"#!/bin/sh\necho\n", RECEIVE, FRAME.format(command))


def test_the_scripts_of_a_build_are_told_apart() -> None:
    assert "/tmp/script_8.sh" in prepare(RUN, b"", 8).receive


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"a\nb", b"a\nb"),
        (b"printf '\r'\n", b"printf '\r'\n"),
        (b"\x7fELF\x00\xff", b"\x7fELF\x00\xff"),
    ],
)
def test_windows_line_ends_become_unix_ones_and_nothing_else_changes(raw: bytes, sent: bytes) -> None:
    assert unix_lines(raw) == sent
