"""A spot machine that Azure takes back, at any moment of a build."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from armsim.faults import Fault
from azure_world import NO_CACHE, AzureWorld, script

from imagewright.core.choices import Keep
from imagewright.core.events import Event, Output
from imagewright.core.plan import Validation
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy

WAIT = "echo now; for i in $(seq 600); do test ! -e /tmp/go-on || exit 0; sleep 0.1; done; exit 1"
"""A guest that holds still until it is taken back, or told to go on."""


class Preempting(list[Event]):
    """Takes the machine back when the guest prints `now`, so many times."""

    def __init__(self, world: AzureWorld, times: int, *, late: bool = False) -> None:
        super().__init__()
        self._world = world
        self._left = times
        self._take_back = take_back_and_say_so_late if late else take_back

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, Output) and event.line == "now" and self._left:
            self._left -= 1
            self._take_back(self._world)
        elif isinstance(event, Output) and event.line == "now":
            (machine,) = [each for each in self._world.simulator.machines() if each.power == "running"]
            machine.run("touch /tmp/go-on")


def take_back(world: AzureWorld) -> None:
    """The only machine that runs, from a thread of its own: who asks is in the middle of something."""
    machines = [each for each in world.simulator.machines() if each.power == "running"]
    if machines:
        threading.Thread(target=machines[0].preempt).start()


def take_back_and_say_so_late(world: AzureWorld) -> None:
    """Who looks at once, when the guest has fallen silent, is told that the machine runs."""
    (machine,) = [each for each in world.simulator.machines() if each.power == "running"]
    world.simulator.faults.add(Fault(".*/instanceView", "GET", then=machine.preempt))
    threading.Thread(target=machine.fall_silent).start()


def test_azure_may_say_so_after_the_guest_has_fallen_silent(world: AzureWorld) -> None:
    world.events = Preempting(world, 1, late=True)
    result = world.build(world.plan(WAIT), NO_CACHE, spot=True)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert any("took its capacity back" in note for note in world.notes)
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_a_preempted_machine_is_replaced_and_the_build_resumes(world: AzureWorld) -> None:
    world.events = Preempting(world, 1)
    plan = world.plan("echo one >> /tmp/ran", f"({WAIT}); sudo cp /tmp/ran /opt/ran")
    result = world.build(plan, CachePolicy(keep=Keep.ALL), spot=True)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.simulator.content(result.run_outputs[0].artifact_id).read("/opt/ran") == b"one\n"
    assert any("took its capacity back" in note for note in world.notes)
    assert world.left() == {result.run_outputs[0].artifact_id} | world.kept()


def test_its_place_in_the_quota_is_given_back_before_the_next_one_is_made(world: AzureWorld) -> None:
    world.simulator.sizes.limits["lowPriorityCores"] = 2
    world.events = Preempting(world, 2)
    result = world.build(world.plan(WAIT), NO_CACHE, spot=True)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_one_that_is_taken_back_again_and_again_is_given_up(world: AzureWorld) -> None:
    world.events = Preempting(world, 99)
    result = world.build(world.plan(WAIT), NO_CACHE, spot=True)
    assert result.failure is not None
    assert result.failure.exit_code == 6
    assert "took its capacity back" in result.failure.message
    assert world.left() == set()


MOMENTS = {
    "created": Fault(".*/Microsoft.Compute/locations/.*/operations/.*", "GET"),
    "kept": Fault(".*/imagewright-cache/.*/snapshots/.*", "PUT"),
    "powered off": Fault(".*/powerOff", "POST"),
    "captured": Fault(".*/imagewright-cache/.*/snapshots/.*", "PUT", after=2),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_is_taken_back_at_any_request(world: AzureWorld, moment: str) -> None:
    """The build ends well on another machine, or says what happened; nothing is left either way."""
    fault = replace(MOMENTS[moment], then=lambda: take_back(world))
    world.simulator.faults.add(fault)
    result = world.build(world.plan("true"), CachePolicy(keep=Keep.ALL), spot=True)
    assert fault.struck == 1
    if result.failure is not None:
        assert (result.failure.kind, bool(result.failure.hint)) == ("MachineLostError", True), result.failure
    assert world.left() == {each.artifact_id for each in result.run_outputs} | world.kept()


def test_it_is_taken_back_while_the_image_is_validated(world: AzureWorld) -> None:
    world.events = Preempting(world, 1)
    plan = world.plan("true", validation=Validation(steps=(script(1, WAIT),)))
    result = world.build(plan, NO_CACHE, spot=True)
    assert result.failure is None or result.failure.kind == "MachineLostError", result.failure
    assert world.left() == {each.artifact_id for each in result.run_outputs}
