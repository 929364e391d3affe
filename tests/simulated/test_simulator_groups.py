"""Tokens, resource groups, listings, operations: the frame of the simulator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from armsim import Pace, Simulator, client_options, credential_options
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from sdk import Sdk


def test_a_group_is_created_read_updated_and_deleted(sdk: Sdk) -> None:
    groups = sdk.resource.resource_groups
    made = groups.create_or_update("g", {"location": "East US", "tags": {"a": "1"}})
    assert (made.location, made.properties.provisioning_state) == ("eastus", "Succeeded")
    assert groups.check_existence("G") is True
    assert groups.update("g", {"tags": {"b": "2"}}).tags == {"b": "2"}
    assert [group.name for group in groups.list()] == ["g"]
    groups.begin_delete("g").result()
    assert groups.check_existence("g") is False
    with pytest.raises(ResourceNotFoundError) as caught:
        groups.begin_delete("g")
    assert caught.value.error.code == "ResourceGroupNotFound"
    assert sdk.simulator.resources() == []


def test_groups_are_found_by_tag(sdk: Sdk) -> None:
    for name, value in (("one", "x"), ("two", "y")):
        sdk.resource.resource_groups.create_or_update(name, {"location": "eastus", "tags": {"build": value}})
    found = sdk.resource.resource_groups.list(filter="tagName eq 'build' and tagValue eq 'y'")
    assert [group.name for group in found] == ["two"]


def test_a_group_is_deleted_by_location_alone_and_by_time(start: Callable[..., Simulator]) -> None:
    simulator = start(Pace(speed=500), guests=False)
    with Sdk(simulator) as sdk:
        sdk.group()
        sdk.resource.resource_groups.begin_delete("g").result()
    first = next(item for item in simulator.requests if item.method == "DELETE")
    assert (first.status, first.response) == (202, None)
    assert "Azure-AsyncOperation" not in first.headers
    assert "/operationresults/" in first.headers["Location"]
    assert "Retry-After" not in first.headers
    assert first.headers["retry-after-ms"] == "30"
    polls = [item.status for item in simulator.requests if "/operationresults/" in item.path]
    assert polls[-1] == 200
    assert set(polls[:-1]) == {202}


def test_polls_can_be_counted(start: Callable[..., Simulator]) -> None:
    simulator = start(Pace(polls=2, speed=1000), guests=False)
    with Sdk(simulator) as sdk:
        sdk.group()
        sdk.resource.resource_groups.begin_delete("g").result()
    assert [item.status for item in simulator.requests if "/operationresults/" in item.path] == [202, 202, 200]


def test_a_wrong_secret_is_refused(simulator: Simulator) -> None:
    given = simulator.credentials
    credential = ClientSecretCredential(given.tenant, given.client, "wrong", **credential_options(simulator))
    with credential, pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential.get_token(f"{simulator.url}/.default")


def test_a_token_for_another_audience_is_refused(simulator: Simulator) -> None:
    given = simulator.credentials
    options = client_options(simulator) | {"credential_scopes": ["https://storage.azure.com/.default"]}
    with (
        ClientSecretCredential(
            given.tenant, given.client, given.secret, **credential_options(simulator)
        ) as credential,
        ResourceManagementClient(credential, simulator.subscription, **options) as client,
        pytest.raises(ClientAuthenticationError) as caught,
    ):
        client.resource_groups.get("g")
    assert "InvalidAuthenticationTokenAudience" in str(caught.value)


def test_a_token_near_its_end_is_renewed_by_the_sdk(start: Callable[..., Simulator]) -> None:
    simulator = start(guests=False)
    simulator.tokens.lifetime = 60
    with Sdk(simulator) as sdk:
        sdk.group()
        sdk.group("h")
    assert simulator.tokens.issued >= 2


def test_a_token_can_go_out_of_date_before_its_time(sdk: Sdk) -> None:
    sdk.group()
    sdk.simulator.tokens.expire()
    with pytest.raises(ClientAuthenticationError) as caught:
        sdk.resource.resource_groups.get("g")
    assert "ExpiredAuthenticationToken" in str(caught.value)
    with Sdk(sdk.simulator) as another:
        assert another.resource.resource_groups.get("g").name == "g"


def test_a_group_does_not_wait_for_what_lies_in_others(start: Callable[..., Simulator]) -> None:
    simulator = start(guests=False)
    with Sdk(simulator) as sdk:
        for name in ("g", "h"):
            sdk.open_network(sdk.group(name))
        sdk.resource.resource_groups.begin_delete("g").result()
        assert {each.split("/")[4] for each in simulator.resources()} == {"h"}


def test_a_group_stays_while_one_of_its_disks_can_be_read(start: Callable[..., Simulator]) -> None:
    simulator = start(guests=False)
    with Sdk(simulator) as sdk:
        sdk.group()
        empty = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
        sdk.compute.disks.begin_create_or_update("g", "d", empty).result()
        sdk.compute.disks.begin_grant_access("g", "d", {"access": "Read", "durationInSeconds": 60}).result()
        with pytest.raises(HttpResponseError):
            sdk.resource.resource_groups.begin_delete("g").result()
        assert sdk.resource.resource_groups.check_existence("g")
        sdk.compute.disks.begin_revoke_access("g", "d").result()
        sdk.resource.resource_groups.begin_delete("g").result()
        assert simulator.resources() == []


def test_a_revoked_role_is_refused_with_its_action(sdk: Sdk) -> None:
    sdk.group()
    sdk.simulator.roles.actions = ["*/read"]
    with pytest.raises(HttpResponseError) as caught:
        sdk.resource.resource_groups.begin_delete("g")
    assert caught.value.error.code == "AuthorizationFailed"
    assert "Microsoft.Resources/subscriptions/resourceGroups/delete" in caught.value.message
    assert caught.value.response.headers["x-ms-failure-cause"] == "gateway"


def test_a_locked_group_is_not_deleted(sdk: Sdk) -> None:
    sdk.group()
    sdk.simulator.lock(f"/subscriptions/{sdk.simulator.subscription}/resourceGroups/g")
    with pytest.raises(ResourceExistsError) as caught:
        sdk.resource.resource_groups.begin_delete("g")
    assert caught.value.error.code == "ScopeLocked"


@pytest.mark.parametrize("version", ["2001-01-01", "latest"])
def test_an_unknown_api_version_is_refused(simulator: Simulator, version: str) -> None:
    with Sdk(simulator, api_version=version) as sdk, pytest.raises(HttpResponseError) as caught:
        sdk.resource.resource_groups.get("g")
    assert caught.value.error.code == "InvalidApiVersionParameter"


def test_a_provider_has_to_be_registered(sdk: Sdk) -> None:
    sdk.group()
    sdk.simulator.unregister("Microsoft.Network")
    with pytest.raises(ResourceExistsError) as caught:
        sdk.network.public_ip_addresses.begin_create_or_update("g", "ip", {"location": "eastus"})
    assert caught.value.error.code == "MissingSubscriptionRegistration"
    assert sdk.resource.providers.get("Microsoft.Network").registration_state == "NotRegistered"
    assert sdk.resource.providers.register("Microsoft.Network").registration_state == "Registered"
    assert list(sdk.network.virtual_networks.list("g")) == []


def test_unknown_and_read_only_properties_are_refused(sdk: Sdk) -> None:
    for body, where in (
        ({"location": "eastus", "tgas": {}}, "tgas"),
        ({"location": "eastus", "properties": {"provisioningState": "Succeeded"}}, "properties.provisioningState"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            sdk.resource.resource_groups.create_or_update("g", body)
        assert (caught.value.status_code, caught.value.error.target) == (400, where)


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "armsim", "--speed", "100", "--no-guests"]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        place = json.loads(process.stdout.readline())
        options = {"connection_verify": place["authority"]}
        with (
            ClientSecretCredential(
                place["tenant"],
                place["client"],
                place["secret"],
                authority=place["url"],
                disable_instance_discovery=True,
                **options,
            ) as credential,
            ResourceManagementClient(
                credential,
                place["subscription"],
                base_url=place["url"],
                credential_scopes=[place["url"] + "/.default"],
                **options,
            ) as client,
        ):
            client.resource_groups.create_or_update("g", {"location": "eastus"})
        assert process.stdin is not None
        process.stdin.close()
        end = json.loads(process.stdout.readline())
    assert (process.returncode, len(end["resources"]), end["requests"], end["mistakes"]) == (0, 1, 1, [])
