"""What the VM agent says of a script, as an exit code or an error."""

from __future__ import annotations

import pytest
from manual_clock import ManualClock

from imagewright.core.clock import Deadline
from imagewright.core.errors import GuestError
from imagewright.platforms.azure.agent_guest import _exit_code

DEADLINE = Deadline.after(ManualClock(), 60, "the test")


def test_an_exit_code_is_the_scripts() -> None:
    assert _exit_code({"executionState": "Succeeded", "exitCode": 0}, DEADLINE) == 0
    assert _exit_code({"executionState": "Failed", "exitCode": 7}, DEADLINE) == 7


@pytest.mark.parametrize("code", [{}, {"exitCode": None}, {"exitCode": 0}])
def test_a_failure_without_an_exit_code_is_no_success(code: dict[str, None]) -> None:
    with pytest.raises(GuestError, match="could not run the script: no disk"):
        _exit_code({"executionState": "Failed", "executionMessage": "no\ndisk", **code}, DEADLINE)
