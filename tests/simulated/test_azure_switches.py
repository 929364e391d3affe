"""What a user may choose about a build, seen in what Azure has of it."""

from __future__ import annotations

from typing import Any

import pytest
from azure_world import AzureWorld

from imagewright.core.choices import Reach
from imagewright.core.plan import MachineSpec
from imagewright.core.result import RunState


def _sent(world: AzureWorld, kind: str) -> list[dict[str, Any]]:
    """The bodies of all PUTs of resources of a kind."""
    return [
        each.request
        for each in world.simulator.requests
        if each.method == "PUT" and each.path.split("/")[-2].lower() == kind.lower() and each.status < 300
    ]


def _account(world: AzureWorld, name: str) -> str:
    body = {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    made = world.sdk.storage.storage_accounts.begin_create("results", name, body).result()
    world.mark()
    return str(made.id)


def test_an_account_that_is_there_is_used_and_left_as_it_was(world: AzureWorld) -> None:
    given = _account(world, "theirs")
    result = world.build(world.plan("echo hello"), reach=Reach.AGENT, storage_account=given)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert "hello" in world.lines
    assert world.left() == {result.run_outputs[0].artifact_id}
    assert len(_sent(world, "storageAccounts")) == 1


def test_the_name_of_the_staging_account(world: AzureWorld) -> None:
    result = world.build(world.plan("true"), reach=Reach.AGENT, storage_name="mine0account")
    assert result.state is RunState.SUCCEEDED, result.failure
    made = {each.path.split("/")[-1] for each in world.simulator.requests if "/storageAccounts/" in each.path}
    assert made == {"mine0account"}
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_who_may_reach_the_account_that_is_made(world: AzureWorld) -> None:
    result = world.build(world.plan("true", targets=(world.vhd(),)), storage_network="127.0.0.1")
    assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
    (account,) = [each for each in world.left() if "/storageAccounts/" in each]
    rules = world.simulator.resource(account).properties["networkAcls"]
    assert (rules["defaultAction"], [each["value"] for each in rules["ipRules"]]) == ("Deny", ["127.0.0.1"])
    assert world.left() == {account, result.run_outputs[0].artifact_uri}


def test_an_account_that_keeps_this_machine_out_says_so(world: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagewright.platforms.azure.storage.ROLE_PAUSES", ())
    result = world.build(world.plan("true", targets=(world.vhd(),)), storage_network="203.0.113.7")
    assert result.failure is not None
    assert "--staging-account-network" in result.failure.hint
    assert [each for each in world.left() if "/storageAccounts/" not in each] == []


def test_a_build_vm_without_a_public_address(world: AzureWorld) -> None:
    result = world.build(world.plan("echo hello"), private=True)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert ("hello" in world.lines, _sent(world, "publicIPAddresses")) == (True, [])
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_the_type_of_the_disks_and_the_identities_of_the_machine(world: AzureWorld) -> None:
    identity = f"/subscriptions/{world.simulator.subscription}/resourceGroups/results/providers/"
    identity += "Microsoft.ManagedIdentity/userAssignedIdentities/worker"
    sdk = world.sdk.resource.resources
    made = sdk.begin_create_or_update_by_id(identity, {"location": "eastus"}, api_version="2023-01-31")
    made.result()
    world.mark()
    machine = MachineSpec(identities=(identity,))
    result = world.build(world.plan("true", machine=machine), os_disk_type="Standard_LRS")
    assert result.state is RunState.SUCCEEDED, result.failure
    (body,) = _sent(world, "virtualMachines")
    assert body["identity"]["userAssignedIdentities"] == {identity: {}}
    disk = body["properties"]["storageProfile"]["osDisk"]
    assert disk["managedDisk"] == {"storageAccountType": "Standard_LRS"}


def test_a_vhd_goes_where_the_template_says(world: AzureWorld) -> None:
    account = _account(world, "theirs")
    endpoint = world.simulator.resource(account).properties["primaryEndpoints"]["blob"]
    world.sdk.storage.blob_containers.create("results", "theirs", "images", {})
    world.mark()
    uri = f"{endpoint}images/web.vhd"
    result = world.build(world.plan("true", targets=(world.vhd(uri=uri),)))
    assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
    assert (result.run_outputs[0].artifact_uri, world.left() >= {uri}) == (uri, True)
