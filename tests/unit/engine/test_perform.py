from __future__ import annotations

from pathlib import Path

import pytest
from manual_clock import ManualClock
from memory_platform import MemoryGuest, World
from small_plan import script, step

from imagewright.core.actions import Inline, InstallUpdates, Reboot, Remote, Run, Shell, Staged, Upload
from imagewright.core.clock import Deadline
from imagewright.core.digest import UnresolvedError
from imagewright.core.errors import BuildTimeoutError, CancelledError, GuestError, PlatformError
from imagewright.core.events import Event, Output, Stream
from imagewright.core.plan import Step
from imagewright.core.ports import OutputSink
from imagewright.engine.perform import LAST_LINES, StepFailedError, perform
from imagewright.staging.directory import DirectoryStaging


class Setting:
    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.clock = ManualClock()
        self.guest = MemoryGuest(self.world, self.clock)
        self.staging = DirectoryStaging(folder)
        self.events: list[Event] = []
        self.deadline = Deadline.after(self.clock, 100.0, "the build")

    def __call__(self, step: Step) -> None:
        perform(step, self.guest, self.staging, self.events.append, self.deadline)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_actions_are_done_in_order_and_output_becomes_events(setting: Setting) -> None:
    setting(step(1, "say one", Upload(Inline("content"), "/tmp/file"), "say two"))
    assert setting.events == [Output("one", Stream.STDOUT), Output("two", Stream.STDOUT)]
    assert setting.world.uploaded == {"/tmp/file": b"content"}


def test_staged_content_is_read_where_it_lies(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "script").write_bytes(b"say from a file")
    staged = setting.staging.fetch(Remote(str(tmp_path / "script")), setting.deadline)
    setting(step(1, Run(staged, Shell.SH), Upload(staged, "/tmp/copy")))
    assert setting.events == [Output("from a file", Stream.STDOUT)]
    assert setting.world.uploaded == {"/tmp/copy": b"say from a file"}


def test_the_first_failure_ends_the_step(setting: Setting) -> None:
    with pytest.raises(StepFailedError, match="the script ended with exit code 3, expected 0") as caught:
        setting(step(1, "say before\nfail 3", "say never"))
    assert caught.value.output == ("before",)
    assert "the build resumes from the step before" in caught.value.hint
    assert setting.events == [Output("before", Stream.STDOUT)]


@pytest.mark.parametrize(("code", "hint"), [(126, "not executable"), (127, "not found"), (137, "out of memory")])
def test_exit_codes_that_tell_something_have_hints_of_their_own(setting: Setting, code: int, hint: str) -> None:
    with pytest.raises(StepFailedError) as caught:
        setting(step(1, f"fail {code}"))
    assert hint in caught.value.hint


def test_other_exit_codes_may_be_valid(setting: Setting) -> None:
    setting(step(1, Run(Inline("fail 3010"), Shell.SH, valid_exit_codes=(0, 3010))))
    with pytest.raises(StepFailedError, match="exit code 0, expected 1, 2"):
        setting(step(1, Run(Inline("say fine"), Shell.SH, valid_exit_codes=(1, 2))))


def test_only_the_last_lines_are_kept_for_the_error(setting: Setting) -> None:
    lines = "\n".join(f"say {number}" for number in range(1000))
    with pytest.raises(StepFailedError) as caught:
        setting(step(1, f"{lines}\nfail 1"))
    assert caught.value.output == tuple(str(number) for number in range(1000 - LAST_LINES, 1000))


class Refuses(MemoryGuest):
    """A guest whose every action ends in `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(World(), ManualClock())
        self._error = error

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        output("last words", Stream.STDERR)
        raise self._error

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        raise self._error

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        raise self._error

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        raise self._error


@pytest.mark.parametrize("action", [script("x"), Reboot(), InstallUpdates(""), Upload(Inline(""), "/x")])
def test_what_the_guest_refuses_is_a_failure_of_the_step(setting: Setting, action) -> None:
    setting.guest = Refuses(GuestError("the connection was cut", hint="look at the serial log"))
    with pytest.raises(StepFailedError, match="the connection was cut") as caught:
        setting(step(1, action))
    assert caught.value.hint == "look at the serial log"
    assert caught.value.output == (("last words",) if isinstance(action, Run) else ())


def test_a_machine_that_is_gone_is_the_platforms_failure(setting: Setting) -> None:
    setting.guest = Refuses(PlatformError("the build VM is gone"))
    with pytest.raises(PlatformError) as caught:
        setting(step(1, "x"))
    assert caught.value.origin == step(1).origin
    assert caught.value.output == ("last words",)


@pytest.mark.parametrize("error", [BuildTimeoutError("the build took too long"), CancelledError("cancelled")])
def test_a_timeout_and_a_cancellation_are_not_the_steps_fault(setting: Setting, error: Exception) -> None:
    setting.guest = Refuses(error)
    with pytest.raises(type(error)):
        setting(step(1, "x"))


def test_a_timeout_says_at_which_step_it_was(setting: Setting) -> None:
    with pytest.raises(BuildTimeoutError) as caught:
        setting(step(1, "wait 200"))
    assert caught.value.origin == step(1).origin


def test_no_action_begins_after_the_deadline(setting: Setting) -> None:
    setting.clock.wait(100.0)
    with pytest.raises(BuildTimeoutError):
        setting(step(1, "say never"))
    assert setting.events == []


def test_content_that_was_not_staged_is_a_defect_of_ours(setting: Setting) -> None:
    with pytest.raises(UnresolvedError, match="a was not staged"):
        setting(step(1, Run(Remote("a"), Shell.SH)))


def test_staged_content_of_another_build_is_not_found(setting: Setting) -> None:
    with pytest.raises(FileNotFoundError):
        setting(step(1, Run(Staged("ab" * 32, 1, "a"), Shell.SH)))
