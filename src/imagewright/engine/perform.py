"""Performs actions on a guest: the only file that does. Everything else only describes them."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import assert_never

from imagewright.core.actions import Action, Content, Inline, InstallUpdates, Reboot, Remote, Run, Staged, Upload
from imagewright.core.address import shown
from imagewright.core.clock import Deadline
from imagewright.core.digest import UnresolvedError
from imagewright.core.errors import GuestError, ImagewrightError
from imagewright.core.events import Emit, Output, Stream
from imagewright.core.plan import Step
from imagewright.core.ports import Guest, OutputSink, Staging

LAST_LINES = 20


class StepFailedError(Exception):
    """A step did not end as it should: its exit code, or the reason why there is none, and its last output."""

    def __init__(self, step: Step, reason: str, hint: str, output: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.step = step
        self.reason = reason
        self.hint = hint
        self.output = output


def perform(step: Step, guest: Guest, staging: Staging, emit: Emit, deadline: Deadline) -> None:
    """Perform the actions of `step` in order. Raises StepFailedError at the first that fails."""
    last: deque[str] = deque(maxlen=LAST_LINES)

    def output(line: str, stream: Stream) -> None:
        last.append(line)
        emit(Output(line, stream))

    for action in step.actions:
        deadline.check()
        try:
            _perform(action, guest, staging, output, deadline)
        except _ExitCodeError as failed:
            raise StepFailedError(step, str(failed), failed.hint, tuple(last)) from failed
        except GuestError as failed:
            raise StepFailedError(step, failed.message, failed.hint, tuple(last)) from failed
        except ImagewrightError as failed:
            failed.origin = failed.origin or step.origin
            failed.output = failed.output or tuple(last)
            raise


class _ExitCodeError(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _perform(action: Action, guest: Guest, staging: Staging, output: OutputSink, deadline: Deadline) -> None:
    match action:
        case Upload():
            guest.upload(_bytes_or_path(action.content, staging), action.destination, action.mode, deadline)
        case Run():
            script = _bytes_or_path(action.script, staging)
            content = script.read_bytes() if isinstance(script, Path) else script
            code = guest.run(action, content, output, deadline)
            if code not in action.valid_exit_codes:
                expected = ", ".join(str(valid) for valid in action.valid_exit_codes)
                raise _ExitCodeError(f"the script ended with exit code {code}, expected {expected}", _hint(code))
        case Reboot():
            guest.reboot(action, output, deadline)
        case InstallUpdates():
            guest.install_updates(action, output, deadline)
        case _:
            assert_never(action)


def _hint(code: int) -> str:
    match code:
        case 126:
            return "the script is not executable here: look at its first line and at the mount options of /tmp"
        case 127:
            return "a command was not found: look at the last lines of output"
        case 137:
            return "the script was killed: the machine may be out of memory, see --memory"
        case _:
            return (
                "mend the script and build again: the build resumes from the step before; "
                "`--on-error abort` keeps the machine to look into"
            )


def _bytes_or_path(content: Content, staging: Staging) -> bytes | Path:
    match content:
        case Inline():
            return content.text.encode()
        case Staged():
            return staging.path(content)
        case Remote():
            raise UnresolvedError(f"{shown(content.uri)} was not staged")
        case _:
            assert_never(content)
