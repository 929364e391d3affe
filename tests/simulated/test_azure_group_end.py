"""The build's own group goes as soon as nothing of it is needed; when it cannot go, that costs no image."""

from __future__ import annotations

from pathlib import Path

import pytest
from armsim import Simulator
from armsim import faults as fault
from azure_world import AzureWorld
from sdk import Sdk

from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy, Keep


@pytest.fixture
def world(simulator: Simulator, sdk: Sdk, tmp_path: Path) -> AzureWorld:
    return AzureWorld(simulator, tmp_path, sdk)


def test_a_captured_build_with_a_locked_group_is_published_and_what_stays_is_said(world: AzureWorld) -> None:
    def lock() -> None:
        (group,) = {each for each in world.simulator.resources() if each.rpartition("/")[2].startswith("IT_")}
        world.simulator.lock(group)

    world.simulator.faults.add(fault.Fault(".*/powerOff", "POST", then=lock))
    result = world.build(world.plan("true"), CachePolicy(keep=Keep.LAST))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert result.run_outputs[0].version == "0.0.1"
    assert [each.split()[0] for each in result.left_behind] == ["resource-group"]
    assert any("ScopeLocked" in note for note in world.notes)
    assert [owned.kind for owned in world.pending] == ["resource-group"]
