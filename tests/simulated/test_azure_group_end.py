"""The build's own group goes as soon as nothing of it is needed; when it cannot go, that costs no image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from armsim import Simulator
from armsim import faults as fault
from armsim.pace import Pace
from azure_world import AzureWorld, script
from sdk import Sdk

from imagewright.core.choices import Keep
from imagewright.core.plan import Validation
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy


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


def test_the_group_goes_while_a_validated_disk_is_published(world: AzureWorld) -> None:
    checks = Validation(steps=(script(1, "test -e /opt/made"),))
    result = world.build(world.plan("sudo touch /opt/made", validation=checks), CachePolicy(keep=Keep.LAST))
    assert result.state is RunState.SUCCEEDED, result.failure
    asked = [(request.method, request.path) for request in world.simulator.requests]
    deleted = next(number for number, (how, path) in enumerate(asked) if how == "DELETE" and "/IT_" in path)
    published = next(number for number, (how, path) in enumerate(asked) if how == "PUT" and "/versions/" in path)
    assert deleted < published
    assert not any("/resourceGroups/IT_" in each for each in world.left())


def test_a_group_whose_name_was_given_goes_last(start: Callable[..., Simulator], tmp_path: Path) -> None:
    """Targets may still need a group, and the name of one that goes cannot be had."""
    simulator = start(Pace(speed=20))
    with Sdk(simulator) as sdk:
        world = AzureWorld(simulator, tmp_path, sdk)
    group = f"/subscriptions/{simulator.subscription}/resourceGroups/named"
    plan = world.plan("true", targets=(world.managed(location="westus"),))
    plan = replace(plan, azure=replace(plan.azure, staging_resource_group=group))
    result = world.build(plan, CachePolicy(keep=Keep.LAST))
    assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
    assert world.left() == {each.artifact_id for each in result.run_outputs} | world.kept()
