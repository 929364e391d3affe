"""What a build leaves alone, keeps to itself, or goes on without."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from armsim.faults import Fault
from armsim.problems import ArmError
from azure_world import AzureWorld
from sdk import Sdk

from imagewright.core.choices import Keep
from imagewright.core.clock import SystemClock
from imagewright.core.plan import AzureSettings, MachineSpec, Plan, TargetRegion
from imagewright.core.result import RunState
from imagewright.engine.ledger import Ledger
from imagewright.engine.resume import CachePolicy
from imagewright.engine.scope import Scope
from imagewright.platforms.azure import access, names

ALL = CachePolicy(keep=Keep.ALL)


# --- the cache ---


def test_a_cache_that_cannot_be_read_is_said_once_and_done_without(world: AzureWorld) -> None:
    refused = ArmError(403, "AuthorizationFailed", "The client may not read snapshots.")
    world.simulator.faults.add(Fault(".*/imagewright-cache/.*snapshots", "GET", times=None, error=refused))
    world.simulator.faults.add(Fault(".*/resourcegroups/imagewright-cache", "GET", times=None, error=refused))
    result = world.build(world.plan("echo one"), CachePolicy(reuse=True, keep=Keep.NONE))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert sum("no use is made of the cache" in note for note in world.notes) == 1


def test_a_captured_disk_lives_on_when_it_is_used(world: AzureWorld) -> None:
    plan = world.plan("echo one")
    assert world.build(plan, ALL).state is RunState.SUCCEEDED
    soon = names.stamp(datetime.now(UTC) + timedelta(hours=1))
    kept = [world.simulator.resource(each) for each in world.simulator.resources() if "/snapshots/" in each]
    for each in kept:
        each.body["tags"][names.EXPIRES] = soon
    assert world.build(plan, ALL).state is RunState.SUCCEEDED
    assert any(each.body["tags"][names.EXPIRES] > soon for each in kept)


# --- somebody else's group ---


def _into(world: AzureWorld, group: str, plan: Plan) -> Plan:
    settings = AzureSettings(
        subscription_id=world.simulator.subscription, resource_group="results",
        staging_resource_group=f"/subscriptions/{world.simulator.subscription}/resourceGroups/{group}",
    )  # fmt: skip
    return replace(plan, azure=settings)


@pytest.mark.parametrize(("hours", "state"), [(1, RunState.FAILED), (-1, RunState.SUCCEEDED)])
def test_the_group_of_a_build_that_runs_is_left_alone(
    world: AzureWorld, sdk: Sdk, hours: int, state: RunState
) -> None:
    tags = {
        names.BUILD: "another",
        names.EXPIRES: names.stamp(datetime.now(UTC) + timedelta(hours=hours)),
        "imageTemplateName": "web",
    }
    sdk.resource.resource_groups.create_or_update("staging", {"location": "eastus", "tags": tags})
    result = world.build(_into(world, "staging", world.plan("true")))
    assert result.state is state, result.failure
    there = any(each.endswith("/resourceGroups/staging") for each in world.simulator.resources())
    assert there is (state is RunState.FAILED)
    if there:
        assert result.failure is not None
        assert "the build another uses the staging group" in result.failure.message


# --- what is said before hours have gone by ---


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"regions": (TargetRegion("westus2"),)}, "do not include eastus"),
        ({"replication_mode": "Shallow", "regions": (TargetRegion("eastus", 2),)}, "one region and one replica"),
    ],
)
def test_regions_that_azure_would_refuse(world: AzureWorld, more: dict[str, object], said: str) -> None:
    result = world.build(world.plan("true", targets=(world.shared(**more),)))
    assert result.failure is not None
    assert said in result.failure.message
    assert not any(request.method == "PUT" and "/IT_" in request.path for request in world.simulator.requests)


# --- secrets ---


def test_the_signature_of_a_target_is_nowhere(world: AzureWorld, sdk: Sdk) -> None:
    first = world.build(world.plan("true", targets=(world.vhd(),)))
    assert first.state is RunState.SUCCEEDED, (first.failure, first.target_failures)
    signed = (
        first.run_outputs[0].artifact_uri.replace("vhds/", "vhds/second-") + "?sv=2025-01-05&sig=c2VjcmV0c2VjcmV0"
    )
    result = world.build(world.plan("true", targets=(world.vhd(uri=signed),)))
    assert result.state is RunState.FAILED
    everything = [repr(result), *map(repr, world.events), *map(repr, world.pending)]
    everything += [file.read_text(errors="replace") for file in world.folder.rglob("*.jsonl")]
    assert len(everything) > 5
    assert [text for text in everything if "c2VjcmV0" in text or "sig=" in text] == []


# --- what targets share ---


def test_an_access_lasts_until_its_last_reader_is_done(world: AzureWorld, sdk: Sdk) -> None:
    disk = sdk.compute.disks.begin_create_or_update(
        "results", "d",
        {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 1}},
    ).result()  # fmt: skip
    settings = world.settings()
    platform = world.platform(settings)
    ledger = Ledger(settings.work / "ledger.jsonl")
    with Scope(ledger, platform.delete, world.events.append, SystemClock()) as scope:
        readers = access.Readers(platform._arm)
        with readers.reading(disk.id, scope, world.deadline()) as one:
            with readers.reading(disk.id, scope, world.deadline()) as two:
                assert one == two
            assert world.simulator.resource(disk.id).properties["diskState"] == "ActiveSAS"
        assert world.simulator.resource(disk.id).properties["diskState"] == "Unattached"
    assert ledger.pending() == ()
    ledger.close()


def test_a_container_in_an_account_that_stays_goes(world: AzureWorld, sdk: Sdk) -> None:
    from imagewright.core.choices import Reach

    account = sdk.storage.storage_accounts.begin_create(
        "results", "iwstays1", {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    ).result()
    result = world.build(world.plan("echo hi"), reach=Reach.AGENT, storage_account=account.id)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert [each.name for each in world.simulator.blobs.client("iwstays1").list_containers()] == []
    assert world.pending == ()


# --- zones and spot ---


def test_a_checkpoint_is_resumed_in_a_zone(world: AzureWorld) -> None:
    first = world.build(world.plan("echo one", "echo two"), ALL, zones=("1",))
    assert first.state is RunState.SUCCEEDED, first.failure
    world.simulator.sizes.fill("Standard_D2s_v5", "eastus", "1")
    machine = MachineSpec(vm_size="Standard_D2s_v5")
    again = world.build(world.plan("echo one", "echo deux", machine=machine), ALL, zones=("1", "2"))
    assert [step.cached for step in again.steps] == [True, False], world.notes
    assert any("Standard_D2s_v5 in zone 2" in note for note in world.notes)


# --- rights ---


def test_an_owner_is_told_that_blobs_take_a_role_of_their_own(world: AzureWorld) -> None:
    world.simulator.roles.data_actions = []
    for target, told in ((world.vhd(), True), (world.shared(), False), (world.vhd(uri="https://a/b/c?sig=x"), False)):
        world.events.clear()
        plan = world.plan("true", targets=(target,))
        world.platform().resolve(plan.source, plan, world.deadline())
        assert any("a VHD target needs data rights on blobs" in note for note in world.notes) is told


# --- purchase plans ---


def test_a_purchase_plan_goes_along(world: AzureWorld) -> None:
    """To the machine that validates, to the one that resumes, and into the definition it is published to."""
    from azure_world import script

    from imagewright.core.plan import PlatformImage, PurchasePlan, Validation

    offer = "flatcar-container-linux-free"
    bought = PurchasePlan("stable-gen2", offer, "kinvolk")
    world.simulator.accept_terms("kinvolk", offer, "stable-gen2")
    plan = world.plan(
        "echo one",
        "echo two",
        source=PlatformImage("kinvolk", offer, "stable-gen2", "latest", bought),
        validation=Validation(steps=(script(1, "echo valid"),)),
    )
    refused = world.build(plan, ALL)
    assert refused.failure is not None
    assert "has the purchase plan none" in refused.failure.message
    named = {"name": bought.name, "product": bought.product, "publisher": bought.publisher}
    target = world.shared(gallery_image_id=world.gallery("flatcar", purchasePlan=named))
    result = world.build(replace(plan, targets=(target,)), ALL)
    assert result.state is RunState.SUCCEEDED, result.failure
    again = world.build(replace(plan, targets=(target,), steps=(plan.steps[0], script(2, "echo deux"))), ALL)
    assert again.state is RunState.SUCCEEDED, again.failure
    assert [step.cached for step in again.steps] == [True, False]
