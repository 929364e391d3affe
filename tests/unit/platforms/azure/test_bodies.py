"""What is sent to Azure for a machine, a storage account and a gallery version, by what the user chose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from manual_clock import ManualClock

from imagewright.core.disk import Disk
from imagewright.core.errors import PlatformError
from imagewright.core.origin import Origin
from imagewright.core.plan import (
    AzureSettings,
    Generation,
    LatestVersioning,
    MachineSpec,
    ManagedImageTarget,
    Optimization,
    OsType,
    Plan,
    PlatformImage,
    PurchasePlan,
    SharedImageTarget,
    TargetRegion,
    Validation,
)
from imagewright.platforms.azure import managed_image, sources, vm_body
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.gallery import version_body
from imagewright.platforms.azure.login import new_keys
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sizes import Candidate
from imagewright.platforms.azure.staging_group import refuse_foreign
from imagewright.platforms.azure.storage_account import account_body
from imagewright.platforms.azure.vm_body import Start, Wishes

GROUP = "/subscriptions/s/resourceGroups/g/providers"
ORIGIN = Origin("template.json", 1, 1, "")
PLACE = Place("s", "g", "eastus", (("team", "web"),))
IMAGE = Start({"publisher": "p", "offer": "o", "sku": "k", "version": "1.0.0"})
KEYS = new_keys()
ANY = Candidate("Standard_X", "", True)


def _machine(start: Start = IMAGE, candidate: Candidate = ANY, **wishes: Any) -> Any:
    return vm_body.body(PLACE, "vm", candidate, start, Wishes(**wishes), "/nic", KEYS)


def test_a_machine_asks_for_nothing_that_was_not_chosen() -> None:
    body = _machine()
    assert (body["location"], body["tags"]) == ("eastus", {"team": "web"})
    assert not {"identity", "plan", "zones"} & set(body)
    assert not {"priority", "evictionPolicy"} & set(body["properties"])
    disk = body["properties"]["storageProfile"]["osDisk"]
    assert (disk["managedDisk"], disk["deleteOption"]) == ({"storageAccountType": "Premium_LRS"}, "Delete")
    assert not {"diskSizeGB", "diffDiskSettings"} & set(disk)
    assert body["properties"]["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"] is True
    assert KEYS.user.private not in str(body)


def test_a_managed_image_keeps_its_plan_for_the_next_build() -> None:
    plan, held = PurchasePlan("name", "product", "publisher"), f"{GROUP}/Microsoft.Compute/snapshots/s"
    disk = Disk(held, "managed", 1 << 30, OsType.LINUX, Generation.V2, plan=plan)
    target = ManagedImageTarget("m", f"{GROUP}/Microsoft.Compute/images/i", "eastus", tags=(("team", "web"),))
    body = managed_image.image_body(disk, target, "build", (held,))
    assert sources.tagged_plan(body) == plan
    assert body["tags"]["team"] == "web"
    plain = managed_image.image_body(replace(disk, plan=None), target, "build", (held,))
    assert sources.tagged_plan(plain) is None


@pytest.mark.parametrize("generation", Generation)
def test_only_of_the_second_generation_azure_would_make_trusted_launch(generation: Generation) -> None:
    assert ("securityProfile" in _machine(generation=generation)["properties"]) == (generation is Generation.V2)


@pytest.mark.parametrize(
    ("premium", "chosen", "kind"),
    [(True, "", "Premium_LRS"), (False, "", "StandardSSD_LRS"), (True, "Standard_LRS", "Standard_LRS")],
)
def test_the_type_of_its_disks(premium: bool, chosen: str, kind: str) -> None:
    body = _machine(candidate=Candidate("X", "", premium), os_disk_type=chosen, data_disk_sizes_gb=(4, 8))
    storage = body["properties"]["storageProfile"]
    disks = (storage["osDisk"], *storage["dataDisks"])
    assert [each["managedDisk"]["storageAccountType"] for each in disks] == [kind] * 3
    assert [(each["lun"], each["diskSizeGB"], each["deleteOption"]) for each in storage["dataDisks"]] == [
        (0, 4, "Delete"),
        (1, 8, "Delete"),
    ]


def test_identities_zone_plan_spot_and_a_larger_disk() -> None:
    start = Start(IMAGE.image, plan=PurchasePlan("name", "product", "publisher"))
    body = _machine(start, Candidate("X", "2", True), identities=("/id/a", "/id/b"), spot=True, os_disk_size_gb=64)
    assert body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {"/id/a": {}, "/id/b": {}}}
    assert body["zones"] == ["2"]
    assert body["plan"] == {"name": "name", "product": "product", "publisher": "publisher"}
    properties = body["properties"]
    assert (properties["priority"], properties["evictionPolicy"]) == ("Spot", "Deallocate")
    assert properties["billingProfile"] == {"maxPrice": -1.0}
    assert properties["storageProfile"]["osDisk"]["diskSizeGB"] == 64


def test_a_machine_on_disks_that_are_there_has_no_profile() -> None:
    body = _machine(Start(disk="/os", data_disks=("/d0",), security_type="TrustedLaunch"))
    properties = body["properties"]
    assert "osProfile" not in properties
    assert properties["securityProfile"]["uefiSettings"] == {"secureBootEnabled": True, "vTpmEnabled": True}
    storage = properties["storageProfile"]
    assert (storage["osDisk"]["managedDisk"], storage["dataDisks"][0]["managedDisk"]) == (
        {"id": "/os"},
        {"id": "/d0"},
    )
    assert "imageReference" not in storage


def test_an_account_is_closed_wherever_it_can_be() -> None:
    body: Any = account_body(PLACE, AzureChoices())
    facts = body["properties"]
    assert (facts["allowSharedKeyAccess"], facts["allowBlobPublicAccess"]) == (False, False)
    assert (facts["minimumTlsVersion"], facts["supportsHttpsTrafficOnly"]) == ("TLS1_2", True)
    assert "networkAcls" not in facts
    assert body["tags"] == {"team": "web"}


def test_an_account_for_some_addresses_and_subnets_only() -> None:
    subnet = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/n"
    body: Any = account_body(PLACE, AzureChoices(storage_network=f"203.0.113.7, {subnet},198.51.100.0/24"))
    rules = body["properties"]["networkAcls"]
    assert rules["defaultAction"] == "Deny"
    assert [each["value"] for each in rules["ipRules"]] == ["203.0.113.7", "198.51.100.0/24"]
    assert [each["id"] for each in rules["virtualNetworkRules"]] == [subnet]


def test_a_version_with_all_that_can_be_said_of_it() -> None:
    target = SharedImageTarget(
        run_output_name="o", gallery_image_id="/d", versioning=LatestVersioning(), exclude_from_latest=True,
        replication_mode="Shallow", tags=(("a", "b"),),
    )  # fmt: skip
    regions = (TargetRegion("eastus", 2, "Standard_ZRS"),)
    clock, choices = ManualClock(), AzureChoices(end_of_life_days=30)
    storage = {"osDiskImage": {"source": {"id": "/os"}}}
    body = version_body("eastus", storage, regions, target, "build-1", choices, clock)
    profile = body["properties"]["publishingProfile"]
    assert profile["targetRegions"] == [
        {"name": "eastus", "regionalReplicaCount": 2, "storageAccountType": "Standard_ZRS"}
    ]
    assert (profile["excludeFromLatest"], profile["replicationMode"]) == (True, "Shallow")
    assert profile["endOfLifeDate"] > clock.now().isoformat()[:10]
    assert body["properties"]["storageProfile"] == storage
    assert body["tags"]["a"] == "b"


def test_a_version_without_an_end() -> None:
    target = SharedImageTarget(run_output_name="o", gallery_image_id="/d", versioning=LatestVersioning())
    body = version_body("eastus", {}, (TargetRegion("eastus"),), target, "build-1", AzureChoices(), ManualClock())
    assert "endOfLifeDate" not in body["properties"]["publishingProfile"]


PLAN = Plan(
    name="web", origin=ORIGIN, source=PlatformImage("p", "o", "s", "latest"), machine=MachineSpec(location="East US"),
    steps=(), validation=Validation(), optimization=Optimization(), targets=(), azure=AzureSettings(),
)  # fmt: skip


@pytest.mark.parametrize("tags", [None, {}, {"team": "x"}, {"imageTemplateName": "Web"}])
def test_a_group_in_the_region_that_is_nobodys_or_our_own(tags: dict[str, str] | None) -> None:
    refuse_foreign({"name": "mine", "location": "eastus", "tags": tags}, PLAN)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"name": "mine", "location": "westus2"}, "is in westus2"),
        ({"name": "mine", "location": "eastus", "tags": {"imageTemplateName": "other"}}, "template other"),
    ],
)
def test_a_group_elsewhere_or_of_another_template_is_refused(group: dict[str, Any], said: str) -> None:
    with pytest.raises(PlatformError, match=said) as caught:
        refuse_foreign(group, PLAN)
    assert caught.value.hint
