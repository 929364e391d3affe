"""What a machine's request says, by what it starts from."""

from __future__ import annotations

from imagewright.platforms.azure import vm_body
from imagewright.platforms.azure.arm import Json
from imagewright.platforms.azure.login import new_keys
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sizes import Candidate
from imagewright.platforms.azure.vm_body import Start, Wishes


def _properties(start: Start, wishes: Wishes | None = None) -> Json:
    place, size = Place("s", "g", "eastus", ()), Candidate("Standard_D2ds_v5", "", premium=True)
    found: Json = vm_body.body(place, "m", size, start, wishes or Wishes(), "nic", new_keys())["properties"]
    return found


def test_a_machine_says_which_security_type_it_is_of() -> None:
    """Azure makes trusted launch of what says nothing, and no managed image can be made of that."""
    assert _properties(Start({"id": "i"}))["securityProfile"] == {"securityType": "Standard"}
    assert _properties(Start({"id": "i"}, security_type="TrustedLaunch"))["securityProfile"]["securityType"] == (
        "TrustedLaunch"
    )


def test_an_ephemeral_disk_is_not_kept_by_deallocation() -> None:
    spot = Wishes(spot=True)
    assert _properties(Start({"id": "i"}), spot)["evictionPolicy"] == "Deallocate"
    assert _properties(Start({"id": "i"}), Wishes(spot=True, ephemeral=True))["evictionPolicy"] == "Delete"


def test_disks_that_are_attached_outlive_a_machine_that_could_not_start() -> None:
    storage = _properties(Start(disk="os", data_disks=("data",)))["storageProfile"]
    assert [disk["deleteOption"] for disk in (storage["osDisk"], *storage["dataDisks"])] == ["Detach", "Detach"]
