from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
from manual_clock import ManualClock
from small_plan import small_plan, step

from imagewright.core.actions import Inline, Reboot, Remote, Run, Shell, Staged, Upload
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import CancelledError, FetchError
from imagewright.core.origin import Origin
from imagewright.core.plan import Optimization, Plan, Validation
from imagewright.engine.stage import stage

DEADLINE = Deadline.after(ManualClock(), 60.0, "the test")


class Shelf:
    """A staging whose content is given; it counts how many readers are inside at once."""

    def __init__(self, together: int = 1, **content: str) -> None:
        self.content = content
        self.read: list[str] = []
        self._together = threading.Barrier(together)

    def fetch(self, remote: Remote, deadline: Deadline) -> Staged:
        self._together.wait(timeout=20)
        self.read.append(remote.uri)
        if remote.uri not in self.content:
            raise FetchError(f"{remote.uri} could not be read: the server answers 404")
        return Staged(f"sha of {self.content[remote.uri]}", len(self.content[remote.uri]), remote.uri)

    def path(self, staged: Staged) -> Path:
        raise AssertionError("nobody reads here")


def runs(uri: str) -> Run:
    return Run(Remote(uri), Shell.SH)


def test_every_remote_is_replaced_and_nothing_else_changes() -> None:
    plan = small_plan("echo", runs("a"), Upload(Remote("b"), "/tmp/b"), Reboot())
    plan = dataclasses.replace(
        plan,
        validation=Validation((step(1, runs("c")),)),
        optimization=Optimization(workload=Remote("d"), workload_origin=Origin("web.json", 30)),
    )
    staged = stage(plan, Shelf(a="A", b="B", c="C", d="D"), DEADLINE)
    assert staged.steps[0] == plan.steps[0]
    assert staged.steps[1].actions == (Run(Staged("sha of A", 1, "a"), Shell.SH),)
    assert staged.steps[2].actions == (Upload(Staged("sha of B", 1, "b"), "/tmp/b"),)
    assert staged.steps[3] == plan.steps[3]
    assert staged.validation.steps[0].actions == (Run(Staged("sha of C", 1, "c"), Shell.SH),)
    assert staged.optimization.workload == Staged("sha of D", 1, "d")
    assert dataclasses.replace(staged, steps=(), validation=Validation(), optimization=Optimization()) == (
        dataclasses.replace(plan, steps=(), validation=Validation(), optimization=Optimization())
    )


def test_a_plan_without_remotes_reads_nothing() -> None:
    plan = dataclasses.replace(small_plan("one"), optimization=Optimization(workload=Inline("echo")))
    assert stage(plan, Shelf(), DEADLINE) == plan


def test_the_same_content_is_read_once() -> None:
    shelf = Shelf(a="A")
    stage(small_plan(runs("a"), runs("a")), shelf, DEADLINE)
    assert shelf.read == ["a"]


def test_the_same_address_with_another_checksum_is_read_again() -> None:
    shelf = Shelf(a="A")
    stage(small_plan(runs("a"), Run(Remote("a", "ab" * 32), Shell.SH)), shelf, DEADLINE)
    assert shelf.read == ["a", "a"]


def test_a_fetch_that_never_ends_holds_nobody_up() -> None:
    """Neither the staging nor, since its thread is a daemon, the end of the process."""
    stuck = threading.Event()

    class Stuck(Shelf):
        def fetch(self, remote: Remote, deadline: Deadline) -> Staged:
            assert threading.current_thread().daemon
            stuck.wait(60)
            return super().fetch(remote, deadline)

    deadline = Deadline.after(SystemClock(), 60.0, "the test")
    threading.Timer(0.2, deadline.stop.set).start()
    with pytest.raises(CancelledError):
        stage(small_plan(runs("a")), Stuck(a="A"), deadline)
    assert deadline.remaining() > 30
    stuck.set()


def test_several_are_read_at_once() -> None:
    """The barrier lets nobody through before four have come."""
    stage(small_plan(*map(runs, "abcd")), Shelf(together=4, a="A", b="B", c="C", d="D"), DEADLINE)


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (small_plan("echo", runs("missing")), 12),
        (small_plan("echo", validation=Validation((step(7, runs("missing")),))), 17),
        (
            small_plan(
                optimization=Optimization(workload=Remote("missing"), workload_origin=Origin("web.json", 30)),
            ),
            30,
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_at_the_step_that_wanted_it(plan: Plan, line: int) -> None:
    with pytest.raises(FetchError, match="404") as caught:
        stage(plan, Shelf(), DEADLINE)
    assert caught.value.origin is not None
    assert caught.value.origin.line == line
