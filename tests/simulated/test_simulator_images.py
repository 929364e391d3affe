"""Disks, snapshots, images and galleries: what Azure keeps of a machine."""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from armsim import Pace, Simulator
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient
from sdk import Key, Sdk

DEFINITION = {
    "location": "eastus",
    "properties": {
        "osType": "Linux", "osState": "Generalized", "hyperVGeneration": "V2",
        "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
    },
}  # fmt: skip


def _version(source: str, *regions: str, **profile: object) -> dict[str, object]:
    kind = "osDiskImage" if "/snapshots/" in source or "/disks/" in source else "source"
    storage = {"osDiskImage": {"source": {"id": source}}} if kind == "osDiskImage" else {"source": {"id": source}}
    targets = [{"name": region, "regionalReplicaCount": 1} for region in regions or ("eastus",)]
    return {
        "location": "eastus",
        "properties": {"publishingProfile": {"targetRegions": targets} | profile, "storageProfile": storage},
    }


def _gallery(sdk: Sdk) -> None:
    sdk.compute.galleries.begin_create_or_update("g", "gal", {"location": "eastus"}).result()
    sdk.compute.gallery_images.begin_create_or_update("g", "gal", "def", DEFINITION).result()


def _disk(sdk: Sdk, name: str = "d") -> str:
    body = {
        "location": "eastus",
        "properties": {
            "creationData": {"createOption": "Empty"},
            "diskSizeGB": 4,
            "osType": "Linux",
            "hyperVGeneration": "V2",
        },
    }
    return str(sdk.compute.disks.begin_create_or_update("g", name, body).result().id)


def _snapshot(sdk: Sdk, source: str, name: str = "s", **properties: object) -> str:
    creation = {"createOption": "Copy", "sourceResourceId": source}
    body = {"location": "eastus", "properties": {"creationData": creation, "incremental": True} | properties}
    return str(sdk.compute.snapshots.begin_create_or_update("g", name, body).result().id)


def test_a_disk_begins_as_recorded(sdk: Sdk) -> None:
    sdk.group()
    _disk(sdk)
    put = next(item for item in sdk.simulator.requests if item.method == "PUT" and "disks" in item.path)
    assert (put.status, put.response["properties"]["provisioningState"]) == (202, "Updating")
    assert "/DiskOperations/" in put.headers["Azure-AsyncOperation"]
    assert "monitor=true" in put.headers["Location"]
    made = sdk.compute.disks.get("g", "d")
    assert (made.disk_state, made.disk_size_bytes, made.provisioning_state) == ("Unattached", 4 << 30, "Succeeded")


def test_what_does_not_exist_is_not_copied(sdk: Sdk) -> None:
    sdk.group()
    with pytest.raises(ResourceNotFoundError) as caught:
        _snapshot(
            sdk,
            f"/subscriptions/{sdk.simulator.subscription}/resourceGroups/g/providers/Microsoft.Compute/disks/none",
        )
    assert caught.value.error.code == "ResourceNotFound"


def test_a_disk_only_grows(sdk: Sdk) -> None:
    sdk.group()
    _disk(sdk)
    with pytest.raises(HttpResponseError, match="cannot be resized down"):
        sdk.compute.disks.begin_update("g", "d", {"properties": {"diskSizeGB": 2}})
    assert sdk.compute.disks.begin_update("g", "d", {"properties": {"diskSizeGB": 8}}).result().disk_size_gb == 8


def test_a_vhd_is_uploaded_to_a_disk_and_read_back(sdk: Sdk) -> None:
    sdk.group()
    size = (32 << 20) + 512
    body = {
        "location": "eastus",
        "properties": {
            "creationData": {"createOption": "Upload", "uploadSizeBytes": size},
            "osType": "Linux",
            "hyperVGeneration": "V2",
        },
    }
    sdk.compute.disks.begin_create_or_update("g", "d", body).result()
    access = {"access": "Write", "durationInSeconds": 3600}
    data = os.urandom(1 << 20)
    url = sdk.compute.disks.begin_grant_access("g", "d", access).result().access_sas
    with pytest.raises(ResourceExistsError, match="active shared access signature"):
        sdk.compute.disks.begin_delete("g", "d")
    with BlobClient.from_blob_url(url, connection_verify=str(sdk.simulator.authority)) as blob:
        blob.upload_page(data, 4 << 20, len(data))
    assert sdk.compute.disks.get("g", "d").disk_state == "ActiveUpload"
    sdk.compute.disks.begin_revoke_access("g", "d").result()
    copy = _snapshot(sdk, sdk.compute.disks.get("g", "d").id)
    assert copy
    url = sdk.compute.snapshots.begin_grant_access("g", "s", access | {"access": "Read"}).result().access_sas
    with BlobClient.from_blob_url(url, connection_verify=str(sdk.simulator.authority)) as blob:
        assert blob.get_blob_properties().size == size
        assert blob.download_blob(4 << 20, len(data)).readall() == data
    sdk.compute.snapshots.begin_revoke_access("g", "s").result()
    context = ssl.create_default_context(cafile=str(sdk.simulator.authority))
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url, context=context)


@pytest.mark.parametrize("size", [32 << 20, 512, (32 << 20) + 1024])
def test_an_upload_has_the_size_of_a_fixed_vhd(sdk: Sdk, size: int) -> None:
    sdk.group()
    body = {"location": "eastus", "properties": {"creationData": {"createOption": "Upload", "uploadSizeBytes": size}}}
    with pytest.raises(HttpResponseError, match="uploadSizeBytes"):
        sdk.compute.disks.begin_create_or_update("g", "d", body)


def test_a_snapshot_goes_to_a_gallery_and_boots(sdk: Sdk, tmp_path: Path) -> None:
    key = Key(tmp_path)
    nic = sdk.open_network(sdk.group())
    machines = sdk.compute.virtual_machines
    machines.begin_create_or_update("g", "vm", sdk.machine_body(nic, key.public)).result()
    sdk.simulator.machine("vm").run("echo built >/etc/built; waagent -force -deprovision+user")
    disk = machines.get("g", "vm").storage_profile.os_disk.managed_disk.id
    snapshot = _snapshot(sdk, disk)
    assert sdk.simulator.content(snapshot).read("/etc/built") == b"built\n"
    _gallery(sdk)
    versions = sdk.compute.gallery_image_versions
    made = versions.begin_create_or_update(
        "g", "gal", "def", "1.0.0", _version(snapshot, "eastus", "West US 2")
    ).result()
    assert [region.name for region in made.publishing_profile.target_regions] == ["East US", "West US 2"]
    assert made.storage_profile.os_disk_image.size_in_gb == 30
    status = versions.get("g", "gal", "def", "1.0.0", expand="ReplicationStatus").replication_status
    assert (status.aggregated_state, [item.progress for item in status.summary]) == ("Completed", [100, 100])
    machines.begin_delete("g", "vm").result()
    definition = made.id.rsplit("/", 2)[0]
    storage = {"imageReference": {"id": definition}, "osDisk": {"createOption": "FromImage"}}
    made_vm = machines.begin_create_or_update(
        "g", "vm2", sdk.machine_body(nic, key.public, storageProfile=storage)
    ).result()
    assert made_vm.storage_profile.image_reference.exact_version == "1.0.0"
    assert (
        key.ssh(str(sdk.network.public_ip_addresses.get("g", "n-ip").ip_address), "cat /etc/built").stdout
        == "built\n"
    )


def test_a_guest_survives_export_and_import_as_a_vhd(sdk: Sdk, tmp_path: Path) -> None:
    key = Key(tmp_path)
    nic = sdk.open_network(sdk.group())
    machines, disks = sdk.compute.virtual_machines, sdk.compute.disks
    machines.begin_create_or_update("g", "vm", sdk.machine_body(nic, key.public)).result()
    sdk.simulator.machine("vm").run("echo built >/etc/built")
    snapshot = _snapshot(sdk, machines.get("g", "vm").storage_profile.os_disk.managed_disk.id)
    url = (
        sdk.compute.snapshots.begin_grant_access("g", "s", {"access": "Read", "durationInSeconds": 600})
        .result()
        .access_sas
    )
    account = sdk.storage.storage_accounts.begin_create(
        "g", "vhds1", {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    ).result()
    container = sdk.blobs(account.primary_endpoints.blob).create_container("vhds")
    target = container.get_blob_client("os.vhd")
    assert target.start_copy_from_url(url)["copy_status"] == "success"
    assert target.get_blob_properties().size == (30 << 30) + 512
    assert target.download_blob(30 << 30, 8).readall() == b"conectix"
    sdk.compute.snapshots.begin_revoke_access("g", "s").result()
    creation = {"createOption": "Import", "sourceUri": target.url, "storageAccountId": account.id}
    body = {
        "location": "eastus",
        "properties": {"creationData": creation, "osType": "Linux", "hyperVGeneration": "V2"},
    }
    disk = disks.begin_create_or_update("g", "back", body).result()
    machines.begin_delete("g", "vm").result()
    storage = {"osDisk": {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk.id}}}
    machines.begin_create_or_update(
        "g", "vm2", sdk.machine_body(nic, key.public, storageProfile=storage, osProfile=None)
    ).result()
    assert (
        key.ssh(str(sdk.network.public_ip_addresses.get("g", "n-ip").ip_address), "cat /etc/built").stdout
        == "built\n"
    )
    assert snapshot


def test_a_version_replicates_in_its_time(start: Callable[..., Simulator]) -> None:
    simulator = start(Pace(speed=1000), guests=False)
    with Sdk(simulator) as sdk:
        sdk.group()
        _gallery(sdk)
        snapshot = _snapshot(sdk, _disk(sdk))
        versions = sdk.compute.gallery_image_versions
        poller = versions.begin_create_or_update("g", "gal", "def", "1.0.0", _version(snapshot))
        status = versions.get("g", "gal", "def", "1.0.0", expand="ReplicationStatus").replication_status
        assert (status.aggregated_state, status.summary[0].state) == ("InProgress", "Replicating")
        poller.result()
    put = next(item for item in simulator.requests if item.method == "PUT" and item.path.endswith("1.0.0"))
    assert (put.status, put.headers["retry-after-ms"]) == (201, "60")
    assert "/capsOperations/" in put.headers["Azure-AsyncOperation"]
    polls = [
        item.response["status"]
        for item in simulator.requests
        if "capsOperations" in item.path and item.began > put.ended
    ]
    assert (polls[-1], len(polls) > 3) == ("Succeeded", True)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("1.0", _version("x"), "InvalidParameter"),
        (
            "1.0.0",
            _version("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/none"),
            "ResourceNotFound",
        ),
        ("1.0.0", _version("x", "westus"), "InvalidParameter"),
        ("1.0.0", _version("x", "eastus", "westus", replicationMode="Shallow"), "InvalidParameter"),
    ],
)
def test_a_bad_version_is_refused(sdk: Sdk, name: str, body: dict[str, object], code: str) -> None:
    sdk.group()
    _gallery(sdk)
    with pytest.raises(HttpResponseError) as caught:
        sdk.compute.gallery_image_versions.begin_create_or_update("g", "gal", "def", name, body)
    assert caught.value.error.code == code


def test_a_gallery_goes_from_the_inside_out(sdk: Sdk) -> None:
    sdk.group()
    _gallery(sdk)
    sdk.compute.gallery_image_versions.begin_create_or_update(
        "g", "gal", "def", "1.0.0", _version(_snapshot(sdk, _disk(sdk)))
    ).result()
    for delete in (
        lambda: sdk.compute.galleries.begin_delete("g", "gal"),
        lambda: sdk.compute.gallery_images.begin_delete("g", "gal", "def"),
    ):
        with pytest.raises(ResourceExistsError) as caught:
            delete()
        assert caught.value.error.code == "CannotDeleteResource"
    sdk.compute.gallery_image_versions.begin_delete("g", "gal", "def", "1.0.0").result()
    sdk.compute.gallery_images.begin_delete("g", "gal", "def").result()
    sdk.compute.galleries.begin_delete("g", "gal").result()
