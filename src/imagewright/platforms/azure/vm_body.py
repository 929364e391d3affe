"""The body of a virtual machine, as ARM takes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.plan import ExactSource, Generation, PurchasePlan
from imagewright.platforms.azure.arm import Json
from imagewright.platforms.azure.login import USER, Keys
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sizes import Candidate
from imagewright.platforms.azure.sources import image_reference


@dataclass(frozen=True, slots=True)
class Start:
    """What a machine's OS disk is made of: an image (and the keys that provisioning brings in), or a disk.

    `image` is an `imageReference`; `disk` and `data_disks` are ids of disks that hold a state already.
    """

    image: Json | None = None
    disk: str = ""
    data_disks: tuple[str, ...] = ()
    security_type: str = "Standard"
    plan: PurchasePlan | None = None

    @classmethod
    def of(cls, source: ExactSource) -> Start:
        return cls(image_reference(source), security_type=source.security_type, plan=source.plan)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the template and the user ask of a machine besides."""

    os_disk_size_gb: int = 0
    data_disk_sizes_gb: tuple[int, ...] = ()
    identities: tuple[str, ...] = ()
    spot: bool = False
    ephemeral: bool = False
    os_disk_type: str = ""
    generation: Generation = Generation.V2


def os_disk_name(machine: str) -> str:
    return f"{machine}-os"


def body(
    place: Place, machine: str, candidate: Candidate, start: Start, wishes: Wishes, nic: str, keys: Keys
) -> Json:
    properties: Json = {
        "hardwareProfile": {"vmSize": candidate.size},
        "storageProfile": _storage(machine, candidate, start, wishes),
        "networkProfile": {"networkInterfaces": [{"id": nic, "properties": {"primary": True}}]},
    }
    if start.image is not None:
        properties["osProfile"] = _os_profile(keys)
    if wishes.generation is Generation.V2:  # of the other, Azure makes no trusted launch machine by itself
        properties["securityProfile"] = {"securityType": "Standard"}
    if start.security_type == "TrustedLaunch":
        properties["securityProfile"] = {
            "securityType": "TrustedLaunch",
            "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
        }
    if wishes.spot:
        policy = "Delete" if wishes.ephemeral and start.image is not None else "Deallocate"
        properties |= {"priority": "Spot", "evictionPolicy": policy, "billingProfile": {"maxPrice": -1.0}}
    more: Json = {}
    if wishes.identities:
        more["identity"] = {
            "type": "UserAssigned",
            "userAssignedIdentities": {identity: {} for identity in wishes.identities},
        }
    if start.plan is not None:
        more["plan"] = {
            "name": start.plan.name,
            "product": start.plan.product,
            "publisher": start.plan.publisher,
        }
    if candidate.zone:
        more["zones"] = [candidate.zone]
    return place.body(properties, **more)


def _storage(machine: str, candidate: Candidate, start: Start, wishes: Wishes) -> Json:
    kind = wishes.os_disk_type or ("Premium_LRS" if candidate.premium else "StandardSSD_LRS")
    if start.image is None:
        disk: Json = {
            "createOption": "Attach",
            "osType": "Linux",
            "managedDisk": {"id": start.disk},
            "deleteOption": "Detach",
            "caching": "ReadWrite",
        }
        data = [
            {"lun": lun, "createOption": "Attach", "managedDisk": {"id": each}, "deleteOption": "Detach"}
            for lun, each in enumerate(start.data_disks)
        ]
        return {"osDisk": disk, "dataDisks": data}
    disk = {
        "name": os_disk_name(machine),
        "createOption": "FromImage",
        "caching": "ReadWrite",
        "deleteOption": "Delete",
        "managedDisk": {"storageAccountType": kind},
    }
    if wishes.os_disk_size_gb:
        disk["diskSizeGB"] = wishes.os_disk_size_gb
    if wishes.ephemeral:
        disk |= {"caching": "ReadOnly", "diffDiskSettings": {"option": "Local"}}
    data = [
        {
            "lun": lun,
            "name": f"{machine}-data-{lun}",
            "createOption": "Empty",
            "diskSizeGB": size,
            "deleteOption": "Delete",
            "managedDisk": {"storageAccountType": kind},
        }
        for lun, size in enumerate(wishes.data_disk_sizes_gb)
    ]
    return {"imageReference": start.image, "osDisk": disk, "dataDisks": data}


def _os_profile(keys: Keys) -> Json:
    key = {"path": f"/home/{USER}/.ssh/authorized_keys", "keyData": keys.user.public}
    return {
        "computerName": "imagewright",
        "adminUsername": USER,
        "customData": keys.custom_data(),
        "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}},
    }
