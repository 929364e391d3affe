"""A spot machine that Azure takes back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from armsim import Simulator
from azure_world import NO_CACHE, AzureWorld
from sdk import Sdk

from imagewright.core.events import Event, Output
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy, Keep


@pytest.fixture
def world(simulator: Simulator, sdk: Sdk, tmp_path: Path) -> AzureWorld:
    return AzureWorld(simulator, tmp_path, sdk)


class Preempting(list[Event]):
    """Takes the machine back when the guest prints `now`, so many times."""

    def __init__(self, world: AzureWorld, times: int) -> None:
        super().__init__()
        self._world = world
        self._left = times

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, Output) and event.line == "now" and self._left:
            self._left -= 1
            (machine,) = [each for each in self._world.simulator.machines() if each.power == "running"]
            threading.Thread(target=machine.preempt).start()


def test_a_preempted_machine_is_replaced_and_the_build_resumes(world: AzureWorld) -> None:
    world.events = Preempting(world, 1)
    plan = world.plan("echo one >> /tmp/ran", "echo now; sleep 2; sudo cp /tmp/ran /opt/ran")
    result = world.build(plan, CachePolicy(keep=Keep.ALL), spot=True)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.simulator.content(result.run_outputs[0].artifact_id).read("/opt/ran") == b"one\n"
    assert any("took its capacity back" in note for note in world.notes)
    assert [each for each in world.left() if "/IT_" in each] == []


def test_one_that_is_taken_back_again_and_again_is_given_up(world: AzureWorld) -> None:
    world.events = Preempting(world, 99)
    result = world.build(world.plan("echo now; sleep 2"), NO_CACHE, spot=True)
    assert result.failure is not None
    assert result.failure.exit_code == 6
    assert "took its capacity back" in result.failure.message
    assert world.left() == set()
