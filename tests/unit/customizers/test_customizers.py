"""The work that each customizer means, and the slips it refuses by itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from imagewright.core.actions import Action, InstallUpdates, Reboot, Remote, Run, RunAs, Shell, Upload
from imagewright.core.actions import Inline as Text
from imagewright.core.unknown import Unknown
from imagewright.customizers import Customizer, Validator

ADAPTER: TypeAdapter[Any] = TypeAdapter(Customizer)
SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("body", "action"),
    [
        ({"type": "Shell", "inline": ("cd /", "ls")}, Run(Text("#!/bin/sh -e\ncd /\nls\n"), Shell.SH)),
        ({"type": "Shell", "inline": ("#!/usr/bin/python3", "1")}, Run(Text("#!/usr/bin/python3\n1\n"), Shell.SH)),
        ({"type": "Shell", "inline": ("a\r\nb",)}, Run(Text("#!/bin/sh -e\na\nb\n"), Shell.SH)),
        ({"type": "Shell", "scriptUri": "u", "sha256Checksum": SHA}, Run(Remote("u", SHA), Shell.SH)),
        ({"type": "PowerShell", "inline": ("a", "b")}, Run(Text("a\nb\n"), Shell.POWERSHELL)),
        (
            {"type": "PowerShell", "scriptUri": "u", "runElevated": True, "validExitCodes": (0, 3010)},
            Run(Remote("u"), Shell.POWERSHELL, RunAs.ELEVATED, (0, 3010)),
        ),
        (
            {"type": "PowerShell", "scriptUri": "u", "runElevated": True, "runAsSystem": True, "validExitCodes": ()},
            Run(Remote("u"), Shell.POWERSHELL, RunAs.SYSTEM, (0,)),
        ),
        ({"type": "WindowsRestart"}, Reboot(timeout=300.0)),
        ({"type": "WindowsRestart", "restartCommand": "r", "restartCheckCommand": "c"}, Reboot("r", "c", 300.0)),
        ({"type": "WindowsRestart", "restartTimeout": "1h30m15s"}, Reboot(timeout=5415.0)),
        ({"type": "WindowsUpdate"}, InstallUpdates("BrowseOnly=0 and IsInstalled=0", (), 1000)),
        ({"type": "WindowsUpdate", "filters": ("include:$true",), "updateLimit": 5},
         InstallUpdates("BrowseOnly=0 and IsInstalled=0", ("include:$true",), 5)),
        ({"type": "File", "sourceUri": "u", "destination": "/tmp/x"}, Upload(Remote("u"), "/tmp/x")),
        ({"type": "File", "sourceUri": "u", "destination": "c:\\x"}, Upload(Remote("u"), "c:\\x")),
    ],
)  # fmt: skip
def test_actions(body: dict[str, Any], action: Action) -> None:
    assert ADAPTER.validate_python(body).actions() == (action,)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "Shell"}, "shell-inline-xor-uri"),
        ({"type": "Shell", "inline": ()}, "shell-inline-xor-uri"),
        ({"type": "PowerShell", "inline": ("a",), "scriptUri": "u"}, "powershell-inline-xor-uri"),
        ({"type": "PowerShell", "inline": ("a",), "runAsSystem": True}, "run-as-system-needs-run-elevated"),
        ({"type": "Shell", "scriptUri": "u", "sha256Checksum": SHA.upper()}, "string_pattern_mismatch"),
        ({"type": "WindowsRestart", "restartTimeout": "5 minutes"}, "bad-duration"),
        ({"type": "WindowsUpdate", "updateLimit": -1}, "greater_than_equal"),
        ({"type": "File", "sourceUri": "u", "destination": "x"}, "relative-destination"),
        ({"type": "File", "sourceUri": "u", "destination": "/tmp/"}, "destination-is-directory"),
    ],
)
def test_slips(body: dict[str, Any], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(body)
    assert [found["type"] for found in caught.value.errors()] == [kind]


def test_the_unknown_passes_every_check() -> None:
    unknown = Unknown("a test")

    assert ADAPTER.validate_python({"type": "Shell", "scriptUri": unknown, "sha256Checksum": unknown})
    assert ADAPTER.validate_python({"type": "Shell", "inline": ("a", unknown)})
    assert ADAPTER.validate_python(
        {"type": "PowerShell", "inline": unknown, "runAsSystem": True, "runElevated": unknown}
    )


def test_validators_neither_restart_nor_update() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Validator).validate_python({"type": "WindowsRestart"})
