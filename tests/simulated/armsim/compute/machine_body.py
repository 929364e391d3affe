"""A VM's body: what a request must hold, what it must fit, and the defaults Azure fills in."""

from __future__ import annotations

import re
from typing import Any

from armsim import problems
from armsim.compute import sizes
from armsim.compute.sources import DISK, Origin, from_disk, from_reference
from armsim.exchange import Call
from armsim.identifiers import guid, stamp
from armsim.kinds import default, reference
from armsim.network.interfaces import refuse_reserved
from armsim.network.virtual_networks import NIC
from armsim.problems import ArmError
from armsim.world import Resource

_TRUSTED = {"TrustedLaunchSupported", "TrustedLaunch", "TrustedLaunchAndConfidentialVmSupported"}
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def prepare(call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
    """The body of a machine to be made. Leaves its Origin, its Size and its OS disk in `call.kept`."""
    properties = body.setdefault("properties", {})
    place = body["location"]
    zones = body.get("zones") or []
    size_name = (properties.get("hardwareProfile") or {}).get("vmSize")
    if not size_name:
        raise problems.missing_parameter("properties.hardwareProfile.vmSize")
    storage = properties.get("storageProfile") or {}
    if not storage.get("osDisk"):
        raise problems.missing_parameter("properties.storageProfile.osDisk")
    size = sizes.admit(call, size_name, zones)
    origin = _origin(call, storage, place)
    _controllers(size, storage)
    _security(call, properties, size, origin)
    _fits(size, origin, properties)
    _plan(call, body, origin)
    _interfaces(call, properties)
    _identities(call, body)
    _os_disk(call, storage, origin, size)
    _data_disks(storage)
    _os_profile(properties, storage, origin)
    _spot(properties, size)
    if zones and not set(zones) <= {"1", "2", "3"}:
        raise ArmError(
            400, "InvalidAvailabilityZone", f"The zone(s) '{','.join(zones)}' for resource are not supported."
        )
    default(properties, vmId=guid(), timeCreated=stamp())
    call.kept |= {"origin": origin, "size": size}
    return body


def _controllers(size: sizes.Size, storage: dict[str, Any]) -> None:
    """A managed image says nothing of disk controllers, so it boots from SCSI only."""
    image = str((storage.get("imageReference") or {}).get("id", ""))
    if "/images/" in image and "/galleries/" not in image and "SCSI" not in size.controllers:
        raise problems.invalid_parameter(
            f"The VM size '{size.name}' cannot boot with OS image or disk. Please check that disk controller types "
            "supported by the OS image or disk is one of the supported disk controller types for the VM size "
            f"'{size.name}'.",
            "vmSize",
        )


def _origin(call: Call, storage: dict[str, Any], place: str) -> Origin:
    disk = storage["osDisk"]
    option = str(disk.get("createOption", "")).lower()
    if option == "attach":
        if storage.get("imageReference"):
            raise problems.invalid_parameter("Parameter 'imageReference' is not allowed.", "imageReference")
        found = call.cloud.world.get((disk.get("managedDisk") or {}).get("id", ""))
        if found is None or found.kind != DISK:
            identifier = (disk.get("managedDisk") or {}).get("id", "")
            raise problems.resource_not_found(DISK, identifier.rsplit("/", 1)[-1], call.target.group)
        if found.body.get("managedBy"):
            raise problems.operation_not_allowed(
                f"Disk {found.name} is already attached to VM {found.body['managedBy']}.", "managedDisk"
            )
        if found.location != place:
            raise problems.invalid_parameter(f"Disk {found.name} is not in the region '{place}'.", "managedDisk")
        _same_zone(call, found)
        if not disk.get("osType"):
            raise problems.missing_parameter("osDisk.osType")
        call.kept["attached"] = found
        return from_disk(found)
    if option != "fromimage":
        raise problems.invalid_parameter(
            f"The value '{disk.get('createOption')}' of parameter 'osDisk.createOption' is not allowed.",
            "osDisk.createOption",
        )
    if not storage.get("imageReference"):
        raise problems.missing_parameter("storageProfile.imageReference")
    origin = from_reference(call, storage["imageReference"], place)
    if origin.exact_version:
        storage["imageReference"]["exactVersion"] = origin.exact_version
    return origin


def _same_zone(call: Call, disk: Resource) -> None:
    mine, its = call.body.get("zones") or [], disk.body.get("zones") or []
    if mine != its:
        raise ArmError(
            400,
            "BadRequest",
            f"Disk {disk.name} (zone '{','.join(its)}') cannot be attached to the VM because it is not in the "
            f"VM's zone '{','.join(mine)}'.",
        )


def _security(call: Call, properties: dict[str, Any], size: sizes.Size, origin: Origin) -> None:
    """Trusted launch is the default of marketplace images of generation 2; `Standard` is a value since 2025-11-01."""
    profile = properties.get("securityProfile") or {}
    if call.version < "2025-11-01":
        if profile.get("securityType") == "Standard":
            raise problems.invalid_parameter(
                "The value of parameter securityProfile.securityType is invalid.", "securityProfile.securityType"
            )
        return
    platform = (properties["storageProfile"].get("imageReference") or {}).get("publisher")
    trusted = platform and origin.generation == "V2" and size.trusted and origin.security in _TRUSTED
    properties["securityProfile"] = default(profile, securityType="TrustedLaunch" if trusted else "Standard")


def _fits(size: sizes.Size, origin: Origin, properties: dict[str, Any]) -> None:
    if origin.generation not in size.generations.split(","):
        raise ArmError(
            400,
            "BadRequest",
            f"The selected VM size '{size.name}' cannot boot Hypervisor Generation "
            f"'{origin.generation.removeprefix('V')}'. If this was a Create "
            "operation please check that the Hypervisor "
            "Generation of the Image matches the Hypervisor Generation of the selected VM Size.",
        )
    if origin.architecture != size.architecture:
        raise ArmError(
            400,
            "BadRequest",
            f"The architecture of the VM size '{size.name}' ({size.architecture}) "
            "does not match that of the "
            f"image ({origin.architecture}).",
        )
    security = (properties.get("securityProfile") or {}).get("securityType", "")
    if security.lower() == "trustedlaunch":
        if origin.generation != "V2" or not size.trusted:
            raise ArmError(
                400,
                "BadRequest",
                "The given VM size or image does not support Trusted Launch (generation 2 is needed).",
            )
        if origin.security not in _TRUSTED:
            raise ArmError(400, "BadRequest", "Use of TrustedLaunch setting is not supported for the provided image.")
    elif origin.security == "TrustedLaunch":
        raise ArmError(
            400,
            "BadRequest",
            "The provided gallery image only supports creation of VMs and VM Scale "
            "Sets with 'TrustedLaunch' security type.",
        )


def _plan(call: Call, body: dict[str, Any], origin: Origin) -> None:
    given = body.get("plan")
    if origin.plan is None:
        if given:
            raise ArmError(
                400,
                "VMMarketplaceInvalidInput",
                "The platform image has no plan information; the deployment must not have any either.",
            )
        return
    wanted = origin.plan
    if not given or any(str(given.get(key, "")).lower() != value.lower() for key, value in wanted.items()):
        raise ArmError(
            400,
            "VMMarketplaceInvalidInput",
            "Creating a virtual machine from Marketplace image or a custom image "
            "sourced from a "
            "Marketplace image requires Plan information in the request. "
            f"'name': '{wanted['name']}', 'publisher': '{wanted['publisher']}', 'product': '{wanted['product']}'.",
        )
    if f"{wanted['publisher']}:{wanted['product']}:{wanted['name']}".lower() not in call.cloud.terms:
        raise ArmError(
            400,
            "MarketplacePurchaseEligibilityFailed",
            ("Marketplace purchase eligibilty check returned errors. See inner errors for details."),
            details=[
                {
                    "code": "BadRequest",
                    "message": "Offer with PublisherId: "
                    f"'{wanted['publisher']}', OfferId: '{wanted['product']}' cannot be "
                    "purchased due to validation errors: Legal terms "
                    "have not been accepted for this item on this subscription.",
                }
            ],
        )


def _interfaces(call: Call, properties: dict[str, Any]) -> None:
    interfaces = (properties.get("networkProfile") or {}).get("networkInterfaces")
    if not interfaces:
        raise problems.missing_parameter("properties.networkProfile.networkInterfaces")
    found = []
    for item in interfaces:
        nic = call.cloud.world.get(item.get("id", ""))
        if nic is None or nic.kind != NIC:
            raise problems.invalid_reference(item.get("id", ""), call.target.path)
        if nic.location != call.body["location"].replace(" ", "").lower():
            raise problems.invalid_reference(nic.id, call.target.path)
        for user in call.cloud.world.users_of(nic.id, "Microsoft.Compute/virtualMachines"):
            if user.id.lower() != call.target.path.lower():
                raise ArmError(400, "NicInUse", f"Network Interface {nic.id} is used by existing resource {user.id}.")
        refuse_reserved(nic, call.target.path)
        found.append(nic)
    if len(interfaces) > 1 and sum(bool((item.get("properties") or {}).get("primary")) for item in interfaces) != 1:
        raise ArmError(
            400,
            "VirtualMachineMustHaveOneNetworkInterfaceAsPrimary",
            f"Virtual machine {call.target.name} must have one network interface set as the primary.",
        )
    call.kept["nics"] = found


def _identities(call: Call, body: dict[str, Any]) -> None:
    identity = body.get("identity") or {}
    assigned = identity.get("userAssignedIdentities") or {}
    for identifier in assigned:
        reference(call, {"id": identifier}, IDENTITY)
        action = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
        if not call.cloud.roles.allow(action):
            raise ArmError(
                403,
                "LinkedAuthorizationFailed",
                (
                    f"The client '{call.caller.client}' with object id '{call.caller.oid}' "
                    "has permission to "
                    f"perform action 'Microsoft.Compute/virtualMachines/write' on scope '{call.target.path}'; "
                    f"however, it does not have permission to perform action(s) '{action}' on the linked scope(s) "
                    f"'{identifier}' (respectively) or the linked scope(s) are invalid."
                ),
            )
        assigned[identifier] = {"principalId": guid(), "clientId": guid()}


def _os_disk(call: Call, storage: dict[str, Any], origin: Origin, size: sizes.Size) -> None:
    disk = storage["osDisk"]
    attached: Resource | None = call.kept.get("attached")
    managed = disk.setdefault("managedDisk", {})
    default(managed, storageAccountType="Premium_LRS" if size.premium else "Standard_LRS")
    if attached is not None:
        managed["storageAccountType"] = attached.body["sku"]["name"]
    if managed["storageAccountType"].startswith("Premium") and not size.premium:
        raise problems.invalid_parameter(
            "Requested operation cannot be performed because the VM size "
            f"{size.name} does not support the storage account type "
            f"{managed['storageAccountType']}.",
            "storageAccountType",
        )
    gigabytes = disk.get("diskSizeGB") or origin.gigabytes
    if gigabytes < origin.gigabytes:
        raise problems.invalid_parameter(
            f"The specified disk size {gigabytes} GB is smaller than the size of the "
            f"corresponding disk in the VM image: {origin.gigabytes} GB. This is not "
            ""
            "allowed. Please choose equal or greater size or do not specify an explicit size.",
            "osDisk.diskSizeGB",
        )
    default(
        disk,
        osType=origin.os,
        caching="ReadWrite",
        deleteOption="Detach",
        name=attached.name if attached else f"{call.target.name}_OsDisk_1_{guid().replace('-', '')}",
        diskSizeGB=gigabytes,
    )
    ephemeral = disk.get("diffDiskSettings")
    if ephemeral:
        if disk["caching"] != "ReadOnly":
            raise problems.invalid_parameter(
                "Parameter 'osDisk.caching' must be 'ReadOnly' for ephemeral OS disks.", "osDisk.caching"
            )
        if size.cache < gigabytes:
            raise ArmError(
                400,
                "NotSupported",
                f"OS disk of Ephemeral VM with size greater than {size.cache} GB is not "
                f"allowed for VM size {size.name} when the DiffDiskPlacement is "
                "CacheDisk.",
            )
        if managed["storageAccountType"] not in {"Standard_LRS", "StandardSSD_LRS", "Premium_LRS"}:
            raise problems.invalid_parameter(
                "Ephemeral OS disks need a locally redundant storage type.", "storageAccountType"
            )


def _data_disks(storage: dict[str, Any]) -> None:
    taken: set[int] = set()
    for disk in default(storage, dataDisks=[])["dataDisks"]:
        if disk.get("lun") is None:
            raise problems.missing_parameter("dataDisk.lun")
        if disk["lun"] in taken:
            raise problems.invalid_parameter(
                f"Cannot attach data disk to VM because a disk is already attached at LUN {disk['lun']}.",
                "dataDisk.lun",
            )
        taken.add(disk["lun"])
        if disk["createOption"].lower() == "empty" and not disk.get("diskSizeGB"):
            raise problems.missing_parameter("dataDisk.diskSizeGB")
        disk.setdefault("managedDisk", {}).setdefault("storageAccountType", "Standard_LRS")
        default(disk, caching="None", deleteOption="Detach", toBeDetached=False)


def _os_profile(properties: dict[str, Any], storage: dict[str, Any], origin: Origin) -> None:
    profile = properties.get("osProfile")
    if not origin.generalized:
        if profile:
            raise problems.invalid_parameter("Parameter 'osProfile' is not allowed.", "osProfile")
        return
    if not profile:
        raise problems.missing_parameter("osProfile")
    for name in ("computerName", "adminUsername"):
        if not profile.get(name):
            raise problems.missing_parameter(f"osProfile.{name}")
    if profile["adminUsername"].lower() in {"admin", "administrator", "root", "guest", "test", "user", "user1"}:
        raise problems.invalid_parameter("The Admin Username specified is not allowed.", "adminUsername")
    limit = 15 if origin.os == "Windows" else 64
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9.-]{{0,{limit - 1}}}", profile["computerName"]):
        raise problems.invalid_parameter(
            f"{origin.os} computer name cannot be more than {limit} characters long, "
            "be entirely numeric, or contain invalid characters.",
            "computerName",
        )
    if origin.os == "Linux":
        linux = default(profile, linuxConfiguration={})["linuxConfiguration"]
        keys = (linux.get("ssh") or {}).get("publicKeys")
        if not keys and not profile.get("adminPassword"):
            raise problems.invalid_parameter(
                "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
                "linuxConfiguration",
            )
        _check_keys(profile, keys or [])
        default(
            linux,
            disablePasswordAuthentication=False,
            provisionVMAgent=True,
            patchSettings={"patchMode": "ImageDefault", "assessmentMode": "ImageDefault"},
        )
    elif not profile.get("adminPassword"):
        raise problems.missing_parameter("osProfile.adminPassword")
    else:
        default(
            default(profile, windowsConfiguration={})["windowsConfiguration"],
            provisionVMAgent=True,
            enableAutomaticUpdates=True,
        )
    default(profile, secrets=[], allowExtensionOperations=True, requireGuestProvisionSignal=True)


def _check_keys(profile: dict[str, Any], keys: list[dict[str, Any]]) -> None:
    wanted = f"/home/{profile['adminUsername']}/.ssh/authorized_keys"
    for key in keys:
        if key.get("path") != wanted:
            raise problems.invalid_parameter(
                "Destination path for SSH public keys is currently limited to its "
                f"default value {wanted} due to a known issue in Linux provisioning "
                "agent.",
                "linuxConfiguration.ssh.publicKeys.path",
            )
        if not re.match(r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/=]+", key.get("keyData") or ""):
            raise problems.invalid_parameter(
                "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid.",
                "linuxConfiguration.ssh.publicKeys.keyData",
            )


def _spot(properties: dict[str, Any], size: sizes.Size) -> None:
    if str(properties.get("priority", "")).lower() in {"spot", "low"}:
        if not size.spot:
            raise ArmError(
                409,
                "SkuNotAvailable",
                f"The requested tier for resource is currently not available as Spot for VM size {size.name}.",
            )
        default(properties, evictionPolicy="Deallocate")
        if (
            properties["storageProfile"]["osDisk"].get("diffDiskSettings")
            and properties["evictionPolicy"] != "Delete"
        ):
            raise problems.operation_not_allowed(
                "The eviction policy of a Spot VM with an ephemeral OS disk must be 'Delete'.", "evictionPolicy"
            )
    elif properties.get("evictionPolicy") or properties.get("billingProfile"):
        raise problems.invalid_parameter(
            "Eviction policy can be set only on Azure Spot Virtual Machines.", "evictionPolicy"
        )


def shown_profile(profile: dict[str, Any]) -> dict[str, Any]:
    """osProfile as it is answered: no password, no custom data."""
    return {key: value for key, value in profile.items() if key not in {"adminPassword", "customData"}}
