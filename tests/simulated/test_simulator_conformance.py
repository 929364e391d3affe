"""The simulator against Microsoft's word: its published OpenAPI documents, and what Azure was recorded to answer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import oav
import pytest
import yaml
from armsim import Pace, Simulator
from sdk import Sdk

SHARED = Path(__file__).parents[3] / "shared"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHBhc3N3b3JkcGFzc3dvcmRwYXNzd29yZHBhc3N3b3Jk"
pytestmark = [
    pytest.mark.long,
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here"),
]


def everything(sdk: Sdk) -> None:
    """A build's worth of requests, and those a clean-up sends."""
    compute, network = sdk.compute, sdk.network
    nic = sdk.open_network(sdk.group())
    storage = {
        "location": "eastus",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "properties": {"allowSharedKeyAccess": False},
    }
    sdk.storage.storage_accounts.begin_create("g", "stage2", storage).result()
    sdk.storage.blob_containers.create("g", "stage2", "scripts", {})
    machines = compute.virtual_machines
    body = sdk.machine_body(nic, KEY)
    body["properties"]["storageProfile"]["dataDisks"] = [{"lun": 0, "createOption": "Empty", "diskSizeGB": 4}]
    machine = machines.begin_create_or_update("g", "vm", body).result()
    machines.begin_update("g", "vm", {"tags": {"a": "b"}}).result()
    machines.begin_run_command("g", "vm", {"commandId": "RunShellScript", "script": ["id"]}).result()
    run = {"location": "eastus", "properties": {"source": {"script": "id"}}}
    compute.virtual_machine_run_commands.begin_create_or_update("g", "vm", "r", run).result()
    access = {
        "location": "eastus",
        "properties": {
            "publisher": "Microsoft.OSTCExtensions",
            "type": "VMAccessForLinux",
            "typeHandlerVersion": "1.5",
        },
    }
    compute.virtual_machine_extensions.begin_create_or_update("g", "vm", "x", access).result()
    compute.virtual_machine_extensions.begin_delete("g", "vm", "x").result()
    for step in (machines.begin_restart, machines.begin_power_off, machines.begin_start, machines.begin_deallocate):
        step("g", "vm").result()
    machines.generalize("g", "vm")
    machines.get("g", "vm", expand="instanceView")
    image = {
        "location": "eastus",
        "properties": {"sourceVirtualMachine": {"id": machine.id}, "hyperVGeneration": "V2"},
    }
    made = compute.images.begin_create_or_update("g", "i", image).result()
    disk = machines.get("g", "vm").storage_profile.os_disk.managed_disk.id
    creation = {"createOption": "Copy", "sourceResourceId": disk}
    compute.snapshots.begin_create_or_update(
        "g", "s", {"location": "eastus", "properties": {"creationData": creation, "incremental": True}}
    ).result()
    compute.snapshots.begin_grant_access("g", "s", {"access": "Read", "durationInSeconds": 60}).result()
    compute.snapshots.begin_revoke_access("g", "s").result()
    empty = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
    compute.disks.begin_create_or_update("g", "d", empty).result()
    compute.disks.begin_update("g", "d", {"tags": {"a": "b"}}).result()
    compute.galleries.begin_create_or_update("g", "gal", {"location": "eastus"}).result()
    definition = {
        "location": "eastus",
        "properties": {
            "osType": "Linux",
            "osState": "Generalized",
            "hyperVGeneration": "V2",
            "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
        },
    }
    compute.gallery_images.begin_create_or_update("g", "gal", "def", definition).result()
    version = {"location": "eastus", "properties": {"storageProfile": {"source": {"id": made.id}}}}
    compute.gallery_image_versions.begin_create_or_update("g", "gal", "def", "1.0.0", version).result()
    compute.gallery_image_versions.begin_create_or_update("g", "gal", "def", "1.0.0", version).result()
    compute.gallery_image_versions.get("g", "gal", "def", "1.0.0", expand="ReplicationStatus")
    images = compute.virtual_machine_images
    images.get(
        "eastus",
        "Canonical",
        "ubuntu-24_04-lts",
        "server",
        images.list("eastus", "Canonical", "ubuntu-24_04-lts", "server")[0].name,
    )
    for listing in (
        compute.usage.list("eastus"), compute.resource_skus.list(filter="location eq 'eastus'"), machines.list("g"),
        compute.disks.list(), compute.snapshots.list(), compute.images.list(), network.network_interfaces.list_all(),
        network.virtual_networks.list("g"), sdk.storage.storage_accounts.list(), sdk.resource.resource_groups.list(),
        compute.virtual_machine_run_commands.list_by_virtual_machine("g", "vm"),
    ):  # fmt: skip
        assert list(listing)
    compute.gallery_image_versions.begin_delete("g", "gal", "def", "1.0.0").result()
    compute.gallery_images.begin_delete("g", "gal", "def").result()
    compute.galleries.begin_delete("g", "gal").result()
    machines.begin_delete("g", "vm").result()
    for disk_name in [item.name for item in compute.disks.list()]:
        compute.disks.begin_delete("g", disk_name).result()
    compute.snapshots.begin_delete("g", "s").result()
    compute.images.begin_delete("g", "i").result()
    network.network_interfaces.begin_delete("g", "n-nic").result()
    network.public_ip_addresses.begin_delete("g", "n-ip").result()
    network.virtual_networks.begin_delete("g", "n-vnet").result()
    network.network_security_groups.begin_delete("g", "n-nsg").result()
    sdk.storage.storage_accounts.delete("g", "stage2")
    sdk.resource.resource_groups.begin_delete("g").result()


@pytest.mark.skipif(bool(oav.lacking()), reason=oav.lacking() or "it can")
def test_traffic_conforms_to_the_published_documents(start: Callable[..., Simulator], tmp_path: Path) -> None:
    record = tmp_path / "traffic.jsonl"
    simulator = start(guests=False, record=record)
    with Sdk(simulator) as sdk:
        everything(sdk)
    assert simulator.resources() == []
    wrong, checked = oav.check(record)
    assert wrong == ""
    assert checked >= 70


Beginning = tuple[int, bool, bool, bool]
"""First answer of a long operation: status, Azure-AsyncOperation, Location, empty body."""


def _what(method: str, path: str) -> str:
    """`PUT virtualMachines/extensions`, `POST disks/beginGetAccess`."""
    parts = path.rsplit("/providers/", maxsplit=1)[-1].split("/")[1:]
    types = parts[0::2]
    return f"{method} {'/'.join(types)}"


def _beginning(status: int, headers: dict[str, Any], body: object) -> Beginning:
    low = {name.lower() for name in headers}
    return status, "azure-asyncoperation" in low, "location" in low, not body


def _recorded() -> Iterator[tuple[str, Beginning, dict[str, Any]]]:
    for file in sorted((SHARED / "recordings").glob("azure-mgmt-*/*")):
        if file.suffix == ".json":
            for item in json.loads(file.read_text())["Entries"]:
                found = _beginning(item["StatusCode"], item["ResponseHeaders"], item["ResponseBody"])
                yield _what(item["RequestMethod"], urlsplit(item["RequestUri"]).path), found, item["ResponseHeaders"]
        else:
            for item in yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["interactions"]:
                answer, asked = item["response"], item["request"]
                found = _beginning(answer["status"]["code"], answer["headers"], answer["body"]["string"])
                yield _what(asked["method"], urlsplit(asked["uri"]).path), found, answer["headers"]


def test_operations_begin_as_azure_was_recorded(start: Callable[..., Simulator]) -> None:
    recorded: dict[str, set[Beginning]] = defaultdict(set)
    for what, found, _ in _recorded():
        if found[0] < 300 and (found[1] or found[2]):
            recorded[what].add(found)
    simulator = start(guests=False)
    with Sdk(simulator) as sdk:
        everything(sdk)
    compared = set()
    for item in simulator.requests:
        what = _what(item.method, item.path)
        found = _beginning(item.status, item.headers, item.response)
        update = item.method == "PUT" and item.status == 200  # of these only facts, no recordings, are at hand
        if what in recorded and item.method != "GET" and (found[1] or found[2]) and not update:
            assert found in recorded[what], f"{what}: {found}, recorded {recorded[what]}"
            compared.add(what)
    assert {
        "PUT virtualMachines",
        "PUT disks",
        "POST snapshots/beginGetAccess",
        "DELETE networkInterfaces",
    } <= compared
    assert len(compared) >= 20


def test_waits_are_those_that_azure_was_recorded_to_ask_for(start: Callable[..., Simulator]) -> None:
    recorded: dict[str, set[str]] = defaultdict(set)
    for what, found, headers in _recorded():
        if found[0] < 300 and (found[1] or found[2]):
            value = {name.lower(): value for name, value in headers.items()}.get("retry-after")
            recorded[what].add(str(value[0] if isinstance(value, list) else value))
    simulator = start(Pace(speed=1, polls=0), guests=False)
    with Sdk(simulator) as sdk:
        sdk.group()
        body = {"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
        sdk.network.virtual_networks.begin_create_or_update("g", "v", body, polling=False)
        empty = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
        sdk.compute.disks.begin_create_or_update("g", "d", empty, polling=False)
        sdk.compute.galleries.begin_create_or_update("g", "gal", {"location": "eastus"}, polling=False)
    asked = {
        _what(item.method, item.path): item.headers.get("Retry-After", "None")
        for item in simulator.requests
        if item.method == "PUT"
    }
    for what in ("PUT virtualNetworks", "PUT disks", "PUT galleries"):
        assert asked[what] in recorded[what]
