"""Two builds reach for the same name: one gets it, and the other never takes it away."""

from __future__ import annotations

import pytest
from armsim.faults import Fault
from armsim.problems import ArmError
from azure_world import AzureWorld

from imagewright.core.choices import Keep
from imagewright.core.plan import ExplicitVersion, Target
from imagewright.core.result import BuildResult, RunState
from imagewright.engine.resume import CachePolicy
from imagewright.platforms.azure import gallery


class OtherProcess(dict[str, set[gallery.Version]]):
    """What this process has allotted, as another one sees it: nothing."""

    def setdefault(self, key: str, default: set[gallery.Version] | None = None, /) -> set[gallery.Version]:
        return set()


def _race(
    world: AzureWorld, path: str, method: str, *targets: Target, policy: CachePolicy | None = None, after: int = 0
) -> tuple[BuildResult, BuildResult]:
    """A build, and another one that runs from start to end within a request of the first, `after` some like it."""
    inner: list[BuildResult] = []
    keeping = {"policy": policy} if policy else {}

    def other() -> None:
        inner.append(world.build(world.plan("echo other", targets=targets), **keeping))  # type: ignore[arg-type]

    world.simulator.faults.add(Fault(path, method, times=1, after=after, then=other))
    outer = world.build(world.plan("echo this", targets=targets), **keeping)  # type: ignore[arg-type]
    return outer, inner[0]


def test_two_that_choose_the_same_next_version(world: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_ALLOTTED", OtherProcess())
    outer, inner = _race(world, ".*/images/web/versions", "GET", world.shared())
    assert (inner.state, outer.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED), (inner.failure, outer.failure)
    assert [each.run_outputs[0].version for each in (inner, outer)] == ["0.0.1", "0.0.2"]
    assert world.left() == {each.run_outputs[0].artifact_id for each in (inner, outer)}


def test_the_loser_of_an_exact_version_leaves_the_winners(world: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_ALLOTTED", OtherProcess())
    target = world.shared(versioning=ExplicitVersion("1.0.0"))
    outer, inner = _race(world, ".*/images/web/versions", "GET", target)
    assert (inner.state, outer.state) == (RunState.SUCCEEDED, RunState.FAILED), inner.failure
    assert "made by somebody else meanwhile" in outer.target_failures[0].message
    assert world.left() == {inner.run_outputs[0].artifact_id}, (world.notes, outer.left_behind, inner.left_behind)


def test_the_loser_of_a_managed_image_leaves_the_winners(world: AzureWorld) -> None:
    outer, inner = _race(world, ".*/Microsoft.Compute/images/web", "GET", world.managed(), after=1)
    assert (inner.state, outer.state) == (RunState.SUCCEEDED, RunState.FAILED), inner.failure
    assert world.left() == {inner.run_outputs[0].artifact_id}, (world.notes, outer.left_behind, inner.left_behind)


def test_the_loser_of_a_blob_leaves_the_winners(world: AzureWorld) -> None:
    first = world.build(world.plan("true", targets=(world.vhd(),)))
    there = first.run_outputs[0].artifact_uri
    world.before = set(world.simulator.resources())
    target = world.vhd(uri=there)
    world.simulator.faults.add(
        Fault(".*/vhds/.*", "PUT", error=ArmError(500, "ServerBusy", "no"), where="blob", times=None)
    )
    assert world.build(world.plan("true", targets=(target,))).state is RunState.FAILED
    world.simulator.faults.clear()
    assert world.build(world.plan("true", targets=(target,))).state is RunState.SUCCEEDED


def test_a_checkpoint_that_another_build_kept_is_as_good(world: AzureWorld) -> None:
    """Both take the captured disk under the same key."""
    inner: list[BuildResult] = []
    policy = CachePolicy(keep=Keep.ALL)
    plan = world.plan("echo same")
    world.simulator.faults.add(
        Fault(".*/powerOff", "POST", times=1, then=lambda: inner.append(world.build(plan, policy)))
    )
    outer = world.build(plan, policy)
    assert (inner[0].state, outer.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED), outer.failure
    assert not any("is not kept" in note for note in world.notes)
    before = len(world.simulator.requests)
    assert world.build(plan, policy).state is RunState.SUCCEEDED
    assert not any("virtualMachines/" in request.path for request in world.simulator.requests[before:])


@pytest.mark.parametrize("age", ["expired", "failed"])
def test_a_checkpoint_that_is_of_no_use_gives_way(world: AzureWorld, age: str) -> None:
    plan, policy = world.plan("echo it"), CachePolicy(keep=Keep.ALL)
    assert world.build(plan, policy).state is RunState.SUCCEEDED
    for each in world.simulator.resources():
        if "/snapshots/" in each:
            row = world.simulator.resource(each)
            if age == "expired":
                row.body["tags"]["imagewright-expires"] = "2020-01-01T00:00:00Z"
            else:
                row.properties["provisioningState"] = "Failed"
    world.events.clear()
    assert world.build(plan, policy).state is RunState.SUCCEEDED
    assert not any("kept: " in note for note in world.notes)
    before = len(world.simulator.requests)
    assert world.build(plan, policy).state is RunState.SUCCEEDED
    assert not any("virtualMachines/" in request.path for request in world.simulator.requests[before:])
