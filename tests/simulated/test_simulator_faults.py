"""What goes wrong in Azure, on demand; and what a client may ask before it begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from armsim import (
    Fault,
    Pace,
    Simulator,
    conflict,
    dropped,
    failing,
    policy_denied,
    problems,
    server_error,
    throttled,
    unavailable,
)
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest
from sdk import UBUNTU, Key, Sdk

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHBhc3N3b3JkcGFzc3dvcmRwYXNzd29yZHBhc3N3b3Jk"
GROUP = ".*/resourceGroups/[^/]+"


@pytest.fixture
def simulator(start: Callable[..., Simulator]) -> Simulator:
    """Without guests: nothing here looks into one."""
    return start(guests=False)


def _vm(sdk: Sdk, **properties: object) -> dict[str, object]:
    return sdk.machine_body(sdk.open_network(sdk.group()), KEY, **properties)


def _create(sdk: Sdk, body: dict[str, object]) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as caught:
        sdk.compute.virtual_machines.begin_create_or_update("g", "vm", body).result()
    return caught.value


def test_a_throttled_request_is_repeated_after_its_time(sdk: Sdk) -> None:
    sdk.simulator.faults.add(throttled(GROUP, "PUT", seconds=1, times=1))
    sdk.group()
    first, second = (item for item in sdk.simulator.requests if item.method == "PUT")
    assert (first.status, first.response["code"], second.status) == (429, "OperationNotAllowed", 201)
    assert second.began - first.ended >= 1


def test_a_503_without_a_body_is_repeated(sdk: Sdk) -> None:
    sdk.simulator.faults.add(unavailable(GROUP, "PUT", html=True))
    sdk.group()
    assert [item.status for item in sdk.simulator.requests if item.method == "PUT"] == [503, 201]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (conflict(GROUP, "PUT"), 409, "Conflict"),
        (server_error(GROUP, "PUT", times=None), 500, "InternalServerError"),
        (policy_denied(GROUP, "require-cost-center"), 403, "RequestDisallowedByPolicy"),
    ],
)
def test_a_refusal_is_answered_in_its_form(simulator: Simulator, fault: Fault, status: int, code: str) -> None:
    simulator.faults.add(fault)
    with Sdk(simulator, retry_total=0) as sdk, pytest.raises(HttpResponseError) as caught:
        sdk.group()
    assert (caught.value.status_code, caught.value.error.code) == (status, code)
    if status == 403:
        assert "require-cost-center" in caught.value.message
    assert simulator.resources() == []


@pytest.mark.parametrize(("when", "left"), [("before", 0), ("after", 1)])
def test_a_connection_is_cut_before_or_after_the_work(simulator: Simulator, when: str, left: int) -> None:
    simulator.faults.add(dropped(GROUP, "PUT", when=when))
    with Sdk(simulator, retry_total=0) as sdk, pytest.raises(ServiceResponseError):
        sdk.group()
    assert len(simulator.resources()) == left


def test_a_rule_lets_some_requests_pass(sdk: Sdk) -> None:
    sdk.simulator.faults.add(Fault(GROUP, "PUT", after=1, status=400, code="BadRequest", message="no"))
    sdk.group("one")
    with pytest.raises(HttpResponseError):
        sdk.group("two")
    sdk.group("three")


def test_an_operation_ends_failed(sdk: Sdk) -> None:
    body = _vm(sdk)
    sdk.simulator.faults.add(failing(".*/virtualMachines/vm", problems.os_provisioning_timed_out("vm")))
    error = _create(sdk, body)
    assert (error.error.code, error.status_code) == ("OSProvisioningTimedOut", 200)
    assert sdk.compute.virtual_machines.get("g", "vm").provisioning_state == "Failed"
    sdk.compute.virtual_machines.begin_delete("g", "vm").result()
    assert any("/disks/" in identifier for identifier in sdk.simulator.resources())


def test_something_happens_after_a_request(sdk: Sdk) -> None:
    def revoke() -> None:
        sdk.simulator.roles.actions = ["*/read"]

    sdk.simulator.faults.add(Fault(GROUP, "PUT", then=revoke))
    sdk.group()
    with pytest.raises(HttpResponseError) as caught:
        sdk.group("h")
    assert caught.value.error.code == "AuthorizationFailed"


def test_quota_counts_cores(sdk: Sdk) -> None:
    body = _vm(sdk)
    sdk.simulator.sizes.limits["cores"] = 1
    error = _create(sdk, body)
    assert (error.status_code, error.error.code) == (409, "OperationNotAllowed")
    assert "Total Regional Cores quota" in error.message
    assert "Current Limit: 1, Current Usage: 0, Additional Required: 2" in error.message
    sdk.simulator.sizes.limits = {"standardDSv5Family": 2}
    sdk.compute.virtual_machines.begin_create_or_update("g", "vm", body).result()
    usage = {row.name.value: (row.current_value, row.limit) for row in sdk.compute.usage.list("eastus")}
    assert (usage["standardDSv5Family"], usage["cores"], usage["virtualMachines"]) == ((2, 2), (2, 100), (1, 100))
    sdk.compute.virtual_machines.begin_deallocate("g", "vm").result()
    assert {row.name.value: row.current_value for row in sdk.compute.usage.list("eastus")}["cores"] == 0


def test_a_restricted_size_is_listed_and_refused(sdk: Sdk) -> None:
    sdk.simulator.sizes.restrict("Standard_D2s_v5", "eastus")
    skus = {sku.name: sku for sku in sdk.compute.resource_skus.list(filter="location eq 'eastus'")}
    assert skus["Standard_D2s_v5"].restrictions[0].reason_code == "NotAvailableForSubscription"
    assert not skus["Standard_D4s_v5"].restrictions
    facts = {item.name: item.value for item in skus["Standard_D4s_v5"].capabilities}
    assert (facts["vCPUs"], facts["HyperVGenerations"], facts["CpuArchitectureType"]) == ("4", "V1,V2", "x64")
    error = _create(sdk, _vm(sdk))
    assert (error.status_code, error.error.code) == (409, "SkuNotAvailable")


def test_a_full_zone_fails_while_another_has_room(sdk: Sdk) -> None:
    sdk.simulator.sizes.fill("Standard_D2s_v5", "eastus", "1")
    body = _vm(sdk)
    assert _create(sdk, body | {"zones": ["1"]}).error.code == "ZonalAllocationFailed"
    sdk.compute.virtual_machines.begin_delete("g", "vm").result()
    made = sdk.compute.virtual_machines.begin_create_or_update("g", "vm", body | {"zones": ["2"]}).result()
    assert made.zones == ["2"]


def _image(**changes: str) -> dict[str, object]:
    return {"storageProfile": {"imageReference": UBUNTU | changes, "osDisk": {"createOption": "FromImage"}}}


@pytest.mark.parametrize(
    ("properties", "code", "text"),
    [
        (
            _image(version="1.2.3"),
            "PlatformImageNotFound",
            "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:1.2.3",
        ),
        ({"hardwareProfile": {"vmSize": "Standard_X"}}, "InvalidParameter", "not valid"),
        ({"hardwareProfile": {"vmSize": "Standard_D1_v2"}}, "BadRequest", "Hypervisor Generation '2'"),
        ({"hardwareProfile": {"vmSize": "Standard_D2ps_v5"}}, "BadRequest", "Arm64"),
        ({"osProfile": {"computerName": "vm"}}, "InvalidParameter", "'adminUsername' is missing (null)."),
        ({"hardwareProfile": {"vmSizze": "x"}}, "InvalidRequestContent", "vmSizze"),
        (
            {"securityProfile": {"securityType": "TrustedLaunch"}} | _image(sku="22_04-lts"),
            "BadRequest",
            "Trusted Launch",
        ),
        ({"evictionPolicy": "Delete"}, "InvalidParameter", "Spot"),
        ({"networkProfile": {"networkInterfaces": [{"id": "/none"}]}}, "InvalidResourceReference", "/none"),
    ],
)
def test_a_bad_machine_is_refused(sdk: Sdk, properties: dict[str, object], code: str, text: str) -> None:
    error = _create(sdk, _vm(sdk, **properties))
    assert error.error.code == code
    assert text in error.message
    assert not any("/virtualMachines/" in identifier for identifier in sdk.simulator.resources())


def test_the_terms_of_a_marketplace_image_are_asked_for(sdk: Sdk) -> None:
    plan = {"publisher": "kinvolk", "name": "stable-gen2", "product": "flatcar-container-linux-free"}
    image = {
        "publisher": "kinvolk",
        "offer": "flatcar-container-linux-free",
        "sku": "stable-gen2",
        "version": "latest",
    }
    body = _vm(sdk, **_image(**image))
    assert _create(sdk, body).error.code == "VMMarketplaceInvalidInput"
    assert _create(sdk, body | {"plan": plan}).error.code == "MarketplacePurchaseEligibilityFailed"
    url = (
        f"/subscriptions/{sdk.simulator.subscription}/providers/Microsoft.MarketplaceOrdering/offerTypes/virtualmachine"
        "/publishers/kinvolk/offers/flatcar-container-linux-free/plans/stable-gen2/agreements/current?api-version=2021-01-01"
    )
    answer = sdk.resource.send_request(HttpRequest("GET", url))
    assert answer.json()["properties"]["accepted"] is False
    sdk.simulator.accept_terms("kinvolk", "flatcar-container-linux-free", "stable-gen2")
    sdk.compute.virtual_machines.begin_create_or_update("g", "vm", body | {"plan": plan}).result()


def test_platform_images_are_listed_down_to_a_version(sdk: Sdk) -> None:
    images = sdk.compute.virtual_machine_images
    assert "Canonical" in [row.name for row in images.list_publishers("eastus")]
    assert "ubuntu-24_04-lts" in [row.name for row in images.list_offers("eastus", "Canonical")]
    assert "server" in [row.name for row in images.list_skus("eastus", "Canonical", "ubuntu-24_04-lts")]
    newest = images.list("eastus", "Canonical", "ubuntu-24_04-lts", "server", top=1, orderby="name desc")
    assert [row.name for row in newest] == ["24.04.202511110"]
    found = images.get("eastus", "Canonical", "ubuntu-24_04-lts", "server", newest[0].name)
    assert (found.hyper_v_generation, found.architecture, found.os_disk_image["sizeInGb"]) == ("V2", "x64", 30)
    with pytest.raises(ResourceNotFoundError, match="Publisher: fooBAR was not found"):
        images.list_offers("eastus", "fooBAR")


def test_permissions_are_told(sdk: Sdk) -> None:
    sdk.group()
    sdk.simulator.roles.actions = ["*/read", "Microsoft.Compute/*"]
    url = (
        f"/subscriptions/{sdk.simulator.subscription}/resourcegroups/g/providers/Microsoft.Authorization/permissions"
        "?api-version=2022-04-01"
    )
    answer = sdk.resource.send_request(HttpRequest("GET", url)).json()
    assert answer["value"][0]["actions"] == ["*/read", "Microsoft.Compute/*"]


def test_resources_are_found_by_tag_and_page_by_page(sdk: Sdk) -> None:
    sdk.simulator.cloud.page_size = 2
    sdk.group()
    for name in ("a", "b", "c"):
        body = {"location": "eastus", "tags": {"build": "1"}, "sku": {"name": "Standard"}}
        sdk.network.public_ip_addresses.begin_create_or_update("g", name, body).result()
    sdk.network.public_ip_addresses.begin_create_or_update("g", "d", {"location": "eastus"}).result()
    assert len(list(sdk.network.public_ip_addresses.list("g"))) == 4
    found = sdk.resource.resources.list(filter="tagName eq 'build' and tagValue eq '1'")
    assert [item.name for item in found] == ["a", "b", "c"]
    first = sdk.network.public_ip_addresses.get("g", "a")
    patch = {"operation": "Merge", "properties": {"tags": {"more": "2"}}}
    sdk.resource.tags.begin_update_at_scope(first.id, patch).result()
    assert sdk.network.public_ip_addresses.get("g", "a").tags == {"build": "1", "more": "2"}


def test_a_deleted_resource_is_gone_and_another_one_is_not_touched(sdk: Sdk) -> None:
    sdk.group()
    with pytest.raises(ResourceNotFoundError) as caught:
        sdk.compute.virtual_machines.get("g", "none")
    assert caught.value.error.code == "ResourceNotFound"
    with pytest.raises(ResourceNotFoundError) as caught:
        sdk.compute.virtual_machines.get("none", "none")
    assert caught.value.error.code == "ResourceGroupNotFound"
    with pytest.raises(ResourceNotFoundError) as caught:
        sdk.compute.gallery_images.get("g", "none", "none")
    assert caught.value.error.code in {"ParentResourceNotFound", "ResourceNotFound"}
    sdk.compute.virtual_machines.begin_delete("g", "none").result()


def test_a_second_request_on_a_busy_resource_conflicts(start: Callable[..., Simulator]) -> None:
    simulator = start(Pace(polls=100), guests=False)
    with Sdk(simulator, retry_total=0) as sdk:
        body = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
        sdk.group()
        sdk.compute.disks.begin_create_or_update("g", "d", body, polling=False)
        with pytest.raises(ResourceExistsError) as caught:
            sdk.compute.disks.begin_create_or_update("g", "d", body)
        assert caught.value.error.code == "Conflict"
        address = {"location": "eastus"}
        sdk.network.public_ip_addresses.begin_create_or_update("g", "ip", address, polling=False)
        with pytest.raises(HttpResponseError) as caught:
            sdk.network.public_ip_addresses.begin_create_or_update("g", "ip", address)
        assert caught.value.error.details[0].code == "RetryableErrorDueToAnotherOperation"


def test_a_preempted_machine_is_deallocated(start: Callable[..., Simulator], tmp_path: Path) -> None:
    simulator, key = start(), Key(tmp_path)
    with Sdk(simulator) as sdk:
        nic = sdk.open_network(sdk.group())
        body = sdk.machine_body(nic, key.public, priority="Spot", billingProfile={"maxPrice": -1})
        sdk.compute.virtual_machines.begin_create_or_update("g", "vm", body).result()
        address = str(sdk.network.public_ip_addresses.get("g", "n-ip").ip_address)
        simulator.machine("vm").lose_ssh()
        assert key.ssh(address, "true").returncode == 255
        simulator.machine("vm").preempt()
        codes = [status.code for status in sdk.compute.virtual_machines.instance_view("g", "vm").statuses]
        assert "PowerState/deallocated" in codes
