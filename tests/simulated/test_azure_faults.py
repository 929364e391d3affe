"""What Azure refuses, forgets or takes away: the right class of error, its remedy, and nothing left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from armsim import Simulator, problems
from armsim import faults as fault
from armsim.compute.disks import Snapshots
from armsim.pace import Pace
from armsim.problems import ArmError
from armsim.world import Resource
from azure_world import AzureWorld, script
from sdk import Sdk

from imagewright.core.plan import (
    ExplicitVersion,
    MachineSpec,
    PlatformImage,
    PurchasePlan,
    TargetRegion,
    Validation,
)
from imagewright.core.result import RunState
from imagewright.platforms.azure import deletion

# --- before anything is created ---


def _refused(world: AzureWorld, *said: str, kind: str, **plan: Any) -> None:
    before = len(world.simulator.requests)
    choices = plan.pop("choices", {})
    result = world.build(world.plan("true", **plan), **choices)
    assert result.failure is not None
    text = f"{result.failure.message} | {result.failure.hint}"
    assert (result.failure.kind, [each for each in said if each not in text]) == (kind, []), text
    written = [request.path for request in world.simulator.requests[before:] if request.method in ("PUT", "POST")]
    assert written == []
    assert world.left() == set()


def test_quota_is_looked_at_first(world: AzureWorld) -> None:
    world.simulator.sizes.limits["cores"] = 1
    _refused(world, "needs 2 cores", "Total Regional vCPUs", "ask for more quota", kind="QuotaError")


def test_a_restricted_size_names_the_remedy(world: AzureWorld) -> None:
    world.simulator.sizes.restrict("Standard_D4s_v5", "eastus")
    _refused(
        world, "Standard_D4s_v5 is restricted in eastus", "--fallback-size", kind="QuotaError",
        machine=MachineSpec(vm_size="Standard_D4s_v5"),
    )  # fmt: skip


def test_a_size_that_does_not_fit_the_image(world: AzureWorld) -> None:
    _refused(world, "does not boot generation V2", kind="QuotaError", machine=MachineSpec(vm_size="Standard_D1_v2"))


def test_terms_that_are_not_accepted(world: AzureWorld) -> None:
    flatcar = PlatformImage(
        "kinvolk", "flatcar-container-linux-free", "stable-gen2", "latest",
        PurchasePlan("stable-gen2", "flatcar-container-linux-free", "kinvolk"),
    )  # fmt: skip
    _refused(world, "terms", "az vm image terms accept", kind="PlatformError", source=flatcar)


def test_a_source_that_is_not_there(world: AzureWorld) -> None:
    _refused(
        world,
        "Canonical:nothing:here",
        kind="PlatformError",
        source=PlatformImage("Canonical", "nothing", "here", "latest"),
    )


def test_a_version_that_exists_is_not_overwritten(world: AzureWorld) -> None:
    target = world.shared(versioning=ExplicitVersion("1.2.3"))
    assert world.build(world.plan("true", targets=(target,))).state is RunState.SUCCEEDED
    world.before = set(world.simulator.resources())
    for same in ("1.2.3", "01.02.3"):
        target = world.shared(versioning=ExplicitVersion(same))
        _refused(world, "1.2.3", "exists already", kind="DistributionError", targets=(target,))


def test_a_definition_of_another_kind(world: AzureWorld) -> None:
    other = world.gallery("gen1", hyperVGeneration="V1")
    world.before = set(world.simulator.resources())
    target = world.shared(gallery_image_id=other)
    _refused(world, "hyperVGeneration V1, the image is V2", kind="DistributionError", targets=(target,))


def test_a_gallery_that_is_not_there(world: AzureWorld) -> None:
    target = world.shared(gallery_image_id=world.definition.replace("/images/web", "/images/nothing"))
    _refused(
        world, "no image definition", "az sig image-definition create", kind="DistributionError", targets=(target,)
    )


# --- capacity ---


def test_a_managed_image_in_another_region_is_not_replaced(world: AzureWorld) -> None:
    assert world.build(world.plan("true", targets=(world.managed(),))).state is RunState.SUCCEEDED
    world.mark()
    target = world.managed(location="westus2")
    _refused(world, "is in eastus, the target says westus2", kind="DistributionError", targets=(target,))


def test_a_size_without_capacity_is_replaced_by_the_next(world: AzureWorld) -> None:
    world.simulator.sizes.fill("Standard_D2ds_v4", "eastus")
    result = world.build(world.plan("true"))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert any("Standard_D2ds_v5" in note for note in world.notes)
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_zones_are_tried_in_their_order(world: AzureWorld) -> None:
    world.simulator.sizes.fill("Standard_D2s_v5", "eastus", "1", "2")
    plan = world.plan("true", machine=MachineSpec(vm_size="Standard_D2s_v5"))
    result = world.build(plan, zones=("1", "2", "3"))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert any("Standard_D2s_v5 in zone 3" in note for note in world.notes)


def test_no_capacity_anywhere_is_said(world: AzureWorld) -> None:
    world.simulator.sizes.fill("Standard_D2s_v5", "eastus")
    result = world.build(world.plan("true", machine=MachineSpec(vm_size="Standard_D2s_v5")))
    assert result.failure is not None
    assert (result.failure.kind, "AllocationFailed" in result.failure.message) == ("QuotaError", True)
    assert "--fallback-size" in result.failure.hint
    assert world.left() == set()


def test_what_failed_to_start_in_a_group_that_stays_is_deleted_whole(
    start: Callable[..., Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure keeps the interface of such a machine for three minutes; the rest does not wait for that."""
    monkeypatch.setattr(deletion, "RESERVED_PAUSE", 0.05)
    simulator = start(Pace(speed=200))
    with Sdk(simulator) as sdk:
        world = AzureWorld(simulator, tmp_path, sdk)
        sdk.resource.resource_groups.create_or_update("mine", {"location": "eastus"})
    world.mark()
    simulator.sizes.fill("Standard_D2s_v5", "eastus")
    plan = world.plan("true", machine=MachineSpec(vm_size="Standard_D2s_v5"))
    group = f"/subscriptions/{simulator.subscription}/resourceGroups/mine"
    result = world.build(replace(plan, azure=replace(plan.azure, staging_resource_group=group)))
    assert result.failure is not None
    assert (result.failure.kind, result.left_behind, world.left()) == ("QuotaError", (), set())
    refused = [request for request in simulator.requests if request.method == "DELETE" and request.status == 400]
    assert refused


def test_a_size_that_boots_from_nvme_only_is_validated_on_its_disk(world: AzureWorld) -> None:
    machine = MachineSpec(vm_size="Standard_D2s_v6")
    checks = Validation(steps=(script(1, "test -e /opt/made"),))
    result = world.build(world.plan("sudo touch /opt/made", machine=machine, validation=checks))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}


# --- in the middle ---


def test_a_revoked_role_is_told_with_its_action(world: AzureWorld) -> None:
    roles = world.simulator.roles

    def revoke() -> None:
        roles.not_actions = ["Microsoft.Compute/snapshots/write"]

    world.simulator.faults.add(fault.Fault(".*/powerOff", "POST", then=revoke))
    result = world.build(world.plan("true"))
    assert result.failure is not None
    assert result.failure.kind == "AuthenticationError"
    assert "Microsoft.Compute/snapshots/write" in result.failure.message
    assert "imagewright doctor" in result.failure.hint
    assert world.left() == set()


def test_one_target_that_fails_does_not_stop_the_others(world: AzureWorld) -> None:
    error = ArmError(200, "InternalExecutionError", "An internal execution error occurred.")
    world.simulator.faults.add(fault.failing(".*/images/web", error))
    result = world.build(world.plan("true", targets=(world.managed(), world.shared())))
    assert result.state is RunState.PARTIALLY_SUCCEEDED
    assert [output.name for output in result.run_outputs] == ["gallery"]
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_regions_and_replicas(world: AzureWorld) -> None:
    regions = (TargetRegion("eastus", 2, "Standard_ZRS"), TargetRegion("West US 2"))
    target = world.shared(regions=regions, exclude_from_latest=True, tags=(("team", "web"),))
    result = world.build(world.plan("true", targets=(target,)), end_of_life_days=90)
    assert result.state is RunState.SUCCEEDED, result.failure
    made = world.simulator.resource(result.run_outputs[0].artifact_id)
    profile = made.properties["publishingProfile"]
    assert [(each["name"], each["regionalReplicaCount"]) for each in profile["targetRegions"]] == [
        ("East US", 2),
        ("West US 2", 1),
    ]
    assert profile["excludeFromLatest"] is True
    assert profile["endOfLifeDate"]
    assert made.body["tags"]["team"] == "web"


def test_a_gallery_elsewhere_gets_a_copy_of_the_disk(world: AzureWorld) -> None:
    there = world.gallery("far", location="westus2")
    world.before = set(world.simulator.resources())
    result = world.build(world.plan("true", targets=(world.shared(gallery_image_id=there),)))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_a_copy_that_fails_in_the_background_is_told_at_once(
    world: AzureWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = world.gallery("far", location="westus2")
    world.before = set(world.simulator.resources())

    def finished(_kind: Snapshots, _cloud: object, resource: Resource, _verb: str) -> None:
        failed = resource.properties["creationData"]["createOption"] == "CopyStart"
        error = {"errorCode": "CopySourceNotFound", "errorMessage": "The source of the copy was deleted."}
        resource.properties["completionPercent"] = 7.0 if failed else 100.0
        if failed:
            resource.properties["copyCompletionError"] = error

    monkeypatch.setattr(Snapshots, "finished", finished)
    result = world.build(world.plan("true", targets=(world.shared(gallery_image_id=there),)))
    assert result.failure is not None
    assert result.failure.kind == "DistributionError"
    assert (
        "copying the captured disk to westus2 failed: The source of the copy was deleted." in result.failure.message
    )
    assert world.left() == set()


def test_a_definition_that_supports_trusted_launch_gets_an_image_and_one_that_demands_it_nothing(
    world: AzureWorld,
) -> None:
    supported = world.gallery("supported", (("SecurityType", "TrustedLaunchSupported"),))
    demanded = world.gallery("demanded", (("SecurityType", "TrustedLaunch"),))
    world.before = set(world.simulator.resources())
    _refused(
        world, "for the security type TrustedLaunch only", kind="DistributionError",
        targets=(world.shared(gallery_image_id=demanded),),
    )  # fmt: skip
    result = world.build(world.plan("sudo touch /opt/made", targets=(world.shared(gallery_image_id=supported),)))
    assert result.state is RunState.SUCCEEDED, result.failure
    (made,) = result.run_outputs
    assert "/images/" in world.simulator.resource(made.artifact_id).properties["storageProfile"]["source"]["id"]
    assert world.simulator.content(made.artifact_id).read("/opt/made") == b""
    assert world.left() == {made.artifact_id}


def test_a_trusted_launch_source_goes_to_a_gallery_of_its_kind(world: AzureWorld) -> None:
    supported = world.gallery("trusted", (("SecurityType", "TrustedLaunchSupported"),))
    first = world.build(world.plan("true", targets=(world.shared(gallery_image_id=supported),)))
    assert first.state is RunState.SUCCEEDED, first.failure
    (feature,) = world.simulator.resource(supported).properties["features"]
    feature["value"] = "TrustedLaunch"
    from imagewright.core.plan import SharedImageVersion

    source = SharedImageVersion(first.run_outputs[0].artifact_id)
    world.before = set(world.simulator.resources())
    _refused(
        world, "cannot hold a trusted launch", kind="DistributionError", source=source, targets=(world.managed(),)
    )
    result = world.build(world.plan("echo ran", source=source, targets=(world.shared(gallery_image_id=supported),)))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert result.run_outputs[0].version == "0.0.2"


def test_a_build_that_may_not_wait_so_long_says_so_at_once(world: AzureWorld) -> None:
    world.simulator.faults.add(fault.throttled(".*/virtualMachines/[^/]*", "PUT", seconds=1200))
    result = world.build(world.plan("true", timeout=300.0))
    assert result.failure is not None
    assert result.failure.kind == "BuildTimeoutError"
    assert "1200 s" in result.failure.message
    assert world.left() == set()


def test_a_limit_of_ours_that_azure_would_pass_is_told_as_that_limit(world: AzureWorld) -> None:
    world.simulator.faults.add(fault.throttled(".*/virtualMachines/[^/]*", "PUT", seconds=1250))
    result = world.build(world.plan("true", timeout=14400.0))
    assert result.failure is not None
    assert (result.failure.kind, result.failure.exit_code) == ("PlatformError", 6)
    assert "1250 s, and the first boot of the build VM has" in result.failure.message
    assert "fewer at once" in result.failure.hint
    assert "buildTimeoutInMinutes" not in result.failure.hint
    assert world.left() == set()


@pytest.mark.parametrize("seconds", [0, 500])
def test_a_look_at_the_machine_that_is_not_answered_ends_no_build(
    world: AzureWorld, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr("imagewright.platforms.azure.machine.LOOK_SECONDS", 0.0)
    refused = ArmError(403, "AuthorizationFailed", "The client may not look.")
    error = problems.throttled("GetVM", seconds) if seconds else refused
    unanswered = world.simulator.faults.add(fault.Fault(".*/instanceView", "GET", times=None, error=error))
    result = world.build(world.plan("sleep 1; echo done"))
    assert unanswered.struck
    assert result.state is RunState.SUCCEEDED, result.failure
