"""What the platform sends, held to Azure's published OpenAPI documents; after a run, all that its tests sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import oav
import pytest
import recording
from armsim import Simulator
from azure_world import AzureWorld
from sdk import Sdk

from imagewright.core.choices import Keep, Reach
from imagewright.core.plan import MachineSpec
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy

pytestmark = [
    pytest.mark.long,
    pytest.mark.shared,
    pytest.mark.skipif(bool(oav.lacking()), reason=oav.lacking() or "it can"),
]


def test_builds_conform_to_the_published_documents(start: Callable[..., Simulator], tmp_path: Path) -> None:
    record = tmp_path / "traffic.jsonl"
    simulator = start(record=record)
    with Sdk(simulator) as sdk:
        world = AzureWorld(simulator, tmp_path, sdk)
        targets = (world.shared(), world.managed(), world.vhd())
        policy = CachePolicy(keep=Keep.ALL)
        machine = MachineSpec(data_disk_sizes_gb=(4,))
        for text in ("echo one", "echo two"):
            plan = world.plan("true", text, targets=targets, machine=machine)
            result = world.build(plan, policy, spot=True, end_of_life_days=30, zones=("1",))
            assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
        result = world.build(world.plan("echo three"), reach=Reach.AGENT)
        assert result.state is RunState.SUCCEEDED, result.failure
    wrong, checked = oav.check(record)
    assert wrong == ""
    assert checked > 100
    recording.ask()
