"""Networks, real guests, and captures that hold what was done in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from sdk import Key, Sdk


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return Key(tmp_path)


def _address(sdk: Sdk) -> str:
    return str(sdk.network.public_ip_addresses.get("g", "n-ip").ip_address)


def _create(sdk: Sdk, key: Key, **properties: object) -> str:
    nic = sdk.open_network(sdk.group())
    made = sdk.compute.virtual_machines.begin_create_or_update(
        "g", "vm", sdk.machine_body(nic, key.public, **properties)
    )
    return str(made.result().id)


def test_a_machine_is_a_real_guest(sdk: Sdk, key: Key) -> None:
    identifier = _create(sdk, key)
    address = _address(sdk)
    assert address.startswith("127.")
    done = key.ssh(
        address, "id -un; sudo id -un; hostname; test -e /work || echo hidden; echo kept | sudo tee /etc/kept"
    )
    assert (done.stdout.split(), done.stderr) == (["builder", "root", "vm", "hidden", "kept"], "")
    view = sdk.compute.virtual_machines.instance_view("g", "vm")
    assert [status.code for status in view.statuses] == ["ProvisioningState/succeeded", "PowerState/running"]
    assert view.vm_agent.statuses[0].display_status == "Ready"
    assert sdk.simulator.content(identifier).read("/etc/kept") == b"kept\n"


def test_a_capture_holds_what_was_done(sdk: Sdk, key: Key) -> None:
    identifier = _create(sdk, key)
    machines, compute = sdk.compute.virtual_machines, sdk.compute
    assert (
        key.ssh(_address(sdk), "echo x | sudo tee /opt/tool && sudo waagent -force -deprovision+user").returncode == 0
    )
    with pytest.raises(ResourceExistsError) as caught:
        machines.generalize("g", "vm")
    assert caught.value.error.code == "OperationNotAllowed"
    machines.begin_deallocate("g", "vm").result()
    assert key.ssh(_address(sdk), "true").returncode == 255
    assert machines.generalize("g", "vm") is None
    image = compute.images.begin_create_or_update(
        "g",
        "i",
        {"location": "eastus", "properties": {"sourceVirtualMachine": {"id": identifier}, "hyperVGeneration": "V2"}},
    ).result()
    assert sdk.simulator.content(image.id).read("/opt/tool") == b"x\n"
    machines.begin_delete("g", "vm").result()
    storage = {"imageReference": {"id": image.id}, "osDisk": {"createOption": "FromImage"}}
    nic = sdk.network.network_interfaces.get("g", "n-nic").id
    machines.begin_create_or_update("g", "vm2", sdk.machine_body(nic, key.public, storageProfile=storage)).result()
    assert key.ssh(_address(sdk), "cat /opt/tool").stdout == "x\n"


def test_what_is_used_is_not_deleted(sdk: Sdk, key: Key) -> None:
    _create(sdk, key)
    network, compute = sdk.network, sdk.compute
    disk = compute.virtual_machines.get("g", "vm").storage_profile.os_disk.name
    refused = {
        "NicInUse": lambda: network.network_interfaces.begin_delete("g", "n-nic"),
        "PublicIPAddressCannotBeDeleted": lambda: network.public_ip_addresses.begin_delete("g", "n-ip"),
        "InUseNetworkSecurityGroupCannotBeDeleted": lambda: network.network_security_groups.begin_delete(
            "g", "n-nsg"
        ),
        "InUseSubnetCannotBeDeleted": lambda: network.virtual_networks.begin_delete("g", "n-vnet"),
        "OperationNotAllowed": lambda: compute.disks.begin_delete("g", disk),
    }
    for code, delete in refused.items():
        with pytest.raises(HttpResponseError) as caught:
            delete().result()
        assert caught.value.error.code == code
    compute.virtual_machines.begin_delete("g", "vm").result()
    compute.disks.begin_delete("g", disk).result()
    network.network_interfaces.begin_delete("g", "n-nic").result()
    network.public_ip_addresses.begin_delete("g", "n-ip").result()
    network.network_security_groups.begin_delete("g", "n-nsg").result()
    network.virtual_networks.begin_delete("g", "n-vnet").result()
    assert sdk.simulator.resources(groups=False) == []


def test_a_security_group_that_lets_nobody_in_keeps_ssh_shut(sdk: Sdk, key: Key) -> None:
    nic = sdk.open_network(sdk.group(), source="203.0.113.9")
    sdk.compute.virtual_machines.begin_create_or_update("g", "vm", sdk.machine_body(nic, key.public)).result()
    assert "refused" in key.ssh(_address(sdk), "true").stderr


def test_a_machine_reboots_from_inside_and_keeps_its_disk(sdk: Sdk, key: Key) -> None:
    _create(sdk, key)
    assert key.ssh(_address(sdk), "touch /home/builder/here; sudo reboot").returncode == 0
    sandbox = sdk.simulator.machine("vm").sandbox
    sandbox.await_boot(2)
    sdk.compute.virtual_machines.begin_restart("g", "vm").result()
    assert (sandbox.boots, key.ssh(_address(sdk), "ls").stdout) == (3, "here\n")


def test_deleting_the_group_ends_its_guests(sdk: Sdk, key: Key) -> None:
    _create(sdk, key)
    sandbox = sdk.simulator.machine("vm").sandbox
    sdk.resource.resource_groups.begin_delete("g").result()
    assert sdk.simulator.resources() == []
    assert not sandbox.alive
