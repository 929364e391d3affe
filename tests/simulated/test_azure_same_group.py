"""Two builds that give the same `stagingResourceGroup`, which is not there, and start at the same moment."""

from __future__ import annotations

import threading
from dataclasses import replace

from armsim.faults import Fault
from azure_world import AzureWorld

from imagewright.core.events import Event, Output
from imagewright.core.plan import Plan
from imagewright.core.result import BuildResult, RunState

HOLD = "echo here; until test -e /tmp/go-on; do sleep 0.05; done"
SECONDS = 120


class Other:
    """A build in a thread of its own, which stands still in its step until `go_on`."""

    def __init__(self, world: AzureWorld, plan: Plan) -> None:
        self.results: list[BuildResult] = []
        self._here = threading.Event()
        self._world = world
        other = AzureWorld.__new__(AzureWorld)
        other.__dict__ |= world.__dict__
        other.events = _Watched(self._here)
        self._thread = threading.Thread(target=lambda: self.results.append(other.build(plan)))

    def start(self) -> None:
        self._thread.start()
        assert self._here.wait(SECONDS)

    def go_on(self) -> BuildResult:
        for machine in self._world.simulator.machines():
            machine.run("touch /tmp/go-on")
        self._thread.join(SECONDS)
        return self.results[0]


class _Watched(list[Event]):
    def __init__(self, here: threading.Event) -> None:
        super().__init__()
        self._here = here

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, Output) and event.line == "here":
            self._here.set()


# Each build looks at the group twice: before anything is made, and when it makes the group.


def _plan(world: AzureWorld, text: str) -> Plan:
    plan = world.plan(text)
    group = f"/subscriptions/{world.simulator.subscription}/resourceGroups/same"
    return replace(plan, azure=replace(plan.azure, staging_resource_group=group))


def test_the_second_is_told_and_takes_nothing_from_the_first(world: AzureWorld) -> None:
    first = Other(world, _plan(world, HOLD))
    world.simulator.faults.add(Fault(".*/resourcegroups/same", "GET", after=1, then=first.start))
    second = world.build(_plan(world, "echo second"))
    assert second.failure is not None
    assert (second.failure.kind, second.left_behind, world.pending) == ("PlatformError", (), ())
    assert "another build made the staging group same at the same moment" in second.failure.message
    assert "make the group yourself" in second.failure.hint
    done = first.go_on()
    assert done.state is RunState.SUCCEEDED, done.failure
    assert world.left() == {done.run_outputs[0].artifact_id}


def test_one_that_cannot_know_it_takes_only_what_is_its_own(world: AzureWorld) -> None:
    """Its creation was tried twice: the group may as well be what its first try made."""
    first = Other(world, _plan(world, HOLD))
    faults = world.simulator.faults
    faults.add(Fault(".*/resourcegroups/same", "GET", after=1, then=first.start))
    faults.add(Fault(".*/resourcegroups/same", "PUT", after=1, status=503, body=b""))
    second = world.build(_plan(world, "echo second"))
    assert second.state is RunState.SUCCEEDED, second.failure
    done = first.go_on()
    assert done.state is RunState.SUCCEEDED, done.failure
    assert world.left() == {each.run_outputs[0].artifact_id for each in (done, second)}


def test_a_creation_whose_answer_was_lost_is_the_builds_own(world: AzureWorld) -> None:
    fault = world.simulator.faults.add(Fault(".*/resourcegroups/same", "PUT", drop="after"))
    result = world.build(_plan(world, "echo only"))
    assert fault.struck == 1
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}
