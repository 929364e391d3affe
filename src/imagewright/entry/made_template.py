"""A template made of inputs alone: source, provisioner, inline script, distribution, as both dead tools make it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from imagewright.core.errors import OptionsError
from imagewright.core.plan import OsType
from imagewright.core.resource_id import ResourceId, parse_resource_id
from imagewright.entry.regions import regions, regions_with_replicas
from imagewright.options import Options
from imagewright.options.pipeline import PipelineOptions, target_type
from imagewright.sources.platform_image import PlatformImage

Json = dict[str, object]

API_VERSION = "2024-02-01"
_IMAGES = "Microsoft.Compute/images"
_VERSIONS = "Microsoft.Compute/galleries/images/versions"
_DEFINITIONS = "Microsoft.Compute/galleries/images"
_IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
_PLACEHOLDER = "publisher:offer:sku"
"""What the old task's form shows where nothing was entered."""


@dataclass(frozen=True, slots=True)
class Azure:
    """Where short names are looked for."""

    subscription: str
    resource_group: str

    def id(self, resource_type: str, text: str, where: str, *names: str) -> str:
        """`text` if it is an id of that type, else the id of the resource that it names in the resource group."""
        found = parse_resource_id(text)
        if found is not None and found.is_a(resource_type):
            return text
        parts = names or tuple(text.split("/"))
        if text.startswith("/") or len(parts) != resource_type.count("/"):
            raise OptionsError(f"{where}: `{text}` is not the id of a {resource_type}", hint=_shape(resource_type))
        if not self.subscription or not self.resource_group:
            raise OptionsError(
                f"{where}: `{text}` is a name, and the subscription or the resource group is not known",
                hint=f"give the whole id, {_shape(resource_type)}, or both of them",
            )
        return str(ResourceId(self.subscription, self.resource_group, resource_type, parts))


@dataclass(frozen=True, slots=True)
class Made:
    """The template as JSON text, and what of the inputs is not in it, as a sentence each."""

    text: str
    notes: tuple[str, ...]


def made_template(given: PipelineOptions, options: Options, run: str) -> Made:
    """`run` names this run in the one thing that nobody gave a name for: a new managed image. Raises OptionsError."""
    azure = Azure(options.subscription, options.resource_group)
    source, os_type = _source(given)
    target = _distribute(given, options, azure, run)
    body: Json = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": API_VERSION,
        "name": _name(given, source, target),
        "location": options.location,
        "properties": {
            "source": source,
            "customize": _customize(given, os_type),
            **_validation(given, os_type),
            **({"optimize": {"vmBoot": {"state": "Enabled"}}} if given.optimize_vm_boot else {}),
            "distribute": [target],
            "vmProfile": _machine(given),
            **({"stagingResourceGroup": given.staging_resource_group} if given.staging_resource_group else {}),
            **({"managedResourceTags": _resource_tags(given)} if given.managed_resource_tags else {}),
        },
    }
    if given.managed_identity:
        where = given.where("managed_identity")
        identity = azure.id(_IDENTITIES, given.managed_identity, where)
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    return Made(json.dumps(body, indent=2) + "\n", tuple(_not_used(given, os_type)))


def os_type_of_inputs(given: PipelineOptions) -> OsType:
    """What the inputs say of the source's operating system; Linux if they do not. Raises OptionsError."""
    return _source(given)[1]


def _not_used(given: PipelineOptions, os_type: OsType) -> Iterator[str]:
    """Inputs that both old tools pass over in silence."""
    if given.windows_update and os_type is not OsType.WINDOWS:
        yield f"{given.where('windows_update')} is not used: the source image is not Windows"
    if given.dist_location.strip() and target_type(given) != "SharedImage":
        yield f"{given.where('dist_location')} is not used: only a gallery has regions, others are in `location`"


def tags(text: str, where: str) -> dict[str, str]:
    """`k:v,k=v`, one a line or separated by commas; or a JSON object. A value keeps every `:` after the first."""
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise OptionsError(f"{where}: this is no JSON object: {error}") from error
        return {name: _tag_value(name, value, where) for name, value in document.items()}
    found: dict[str, str] = {}
    for part in re.split(r"[,\n]", text):
        name, sign, value = re.match(r"([^:=]*)([:=]?)(.*)", part.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
        if part.strip() and (not sign or not name.strip()):
            raise OptionsError(f"{where}: `{part.strip()}` is no tag", hint="write it as name:value or name=value")
        if name.strip():
            found[name.strip()] = value.strip()
    return found


def _tag_value(name: str, value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise OptionsError(f"{where}: the tag `{name}` has no text", hint="a tag's value is a string")


# --- where it starts ---


def _source(given: PipelineOptions) -> tuple[Json, OsType]:
    kind, image, where = _image(given)
    match kind:
        case "ManagedImage":
            _check_id(image, _IMAGES, where)
            return {"type": "ManagedImage", "imageId": image}, _os_type(given, None)
        case "SharedImageVersion":
            _check_id(image, _VERSIONS, where)
            return {"type": "SharedImageVersion", "imageVersionId": image}, _os_type(given, None)
        case _:
            return _platform_image(given, image, where)


def _image(given: PipelineOptions) -> tuple[str, str, str]:
    """What kind of source, which, and the input that says so."""
    candidates = [
        ("", "source_image"),
        ("ManagedImage", "custom_image_resource_id"),
        ("SharedImageVersion", "image_version_id"),
        ("PlatformImage", "base_image_pub_offer_sku"),
        ("PlatformImage", "base_image"),
    ]
    asked = {
        "managedimage": "ManagedImage",
        "sharedimagegallery": "SharedImageVersion",
        "gallery": "SharedImageVersion",
        "platformimage": "PlatformImage",
        "marketplace": "PlatformImage",
    }.get(given.source_image_type.lower(), "")
    for kind, field in candidates:
        text = str(getattr(given, field)).strip()
        if text and text.lower() != _PLACEHOLDER and asked in ("", kind or asked):
            return kind or asked or _kind(text), text, given.where(field)
    raise OptionsError(
        "there is neither a template nor a source image",
        hint="give `template`, or the source image as `publisher:offer:sku:version` or as an id",
    )


def _kind(text: str) -> str:
    found = parse_resource_id(text)
    if found is None:
        return "PlatformImage"
    return "ManagedImage" if found.is_a(_IMAGES) else "SharedImageVersion"


def _platform_image(given: PipelineOptions, text: str, where: str) -> tuple[Json, OsType]:
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 3:
        parts.append(given.base_image_version.strip() or "latest")
    if len(parts) != 4 or not all(parts):
        raise OptionsError(
            f"{where}: `{text}` is not a marketplace image", hint="write it as publisher:offer:sku:version"
        )
    source: Json = dict(zip(("type", "publisher", "offer", "sku", "version"), ("PlatformImage", *parts), strict=True))
    publisher, offer, sku, version = parts
    model = PlatformImage(type="PlatformImage", publisher=publisher, offer=offer, sku=sku, version=version)
    if given.purchase_plan:
        source["planInfo"] = _plan(given.purchase_plan, given.where("purchase_plan"))
    return source, _os_type(given, model.os_type())


def _plan(text: str, where: str) -> Json:
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 3 or not all(parts):
        raise OptionsError(f"{where}: `{text}` is not a purchase plan", hint="write it as name:product:publisher")
    return dict(zip(("planName", "planProduct", "planPublisher"), parts, strict=True))


def _os_type(given: PipelineOptions, guessed: OsType | None) -> OsType:
    by_script = {"shell": OsType.LINUX, "powershell": OsType.WINDOWS}.get(given.provisioner)
    by_input = {"linux": OsType.LINUX, "windows": OsType.WINDOWS}.get(given.source_os_type)
    if by_script and by_input and by_script is not by_input:
        raise OptionsError(
            f"{given.where('provisioner')} contradicts {given.where('source_os_type')}",
            hint="shell is for linux, powershell for windows",
        )
    return by_script or by_input or guessed or OsType.LINUX


# --- what is done ---


def _customize(given: PipelineOptions, os_type: OsType) -> list[Json]:
    steps: list[Json] = []
    if given.inline_script.strip():
        steps.append(_script("inline-script", given.inline_script, os_type) | _rights(given, os_type))
    if given.windows_update and os_type is OsType.WINDOWS:
        steps.append(
            {
                "type": "WindowsUpdate",
                "name": "windows-update",
                "searchCriteria": "IsInstalled=0",
                "filters": ["exclude:$_.Title -like '*Preview*'", "include:$true"],
            }
        )
    return steps


def _script(name: str, text: str, os_type: OsType) -> Json:
    kind = "PowerShell" if os_type is OsType.WINDOWS else "Shell"
    return {"type": kind, "name": name, "inline": text.replace("\r\n", "\n").strip("\n").split("\n")}


def _rights(given: PipelineOptions, os_type: OsType) -> Json:
    if os_type is not OsType.WINDOWS or not (given.run_elevated or given.run_as_system):
        return {}
    return {"runElevated": True, **({"runAsSystem": True} if given.run_as_system else {})}


def _validation(given: PipelineOptions, os_type: OsType) -> Json:
    if not given.validation_inline_script.strip():
        return {}
    return {
        "validate": {
            "inVMValidations": [_script("validation", given.validation_inline_script, os_type)],
            "continueDistributeOnFailure": given.continue_distribute_on_failure,
            "sourceValidationOnly": given.source_validation_only,
        }
    }


def _machine(given: PipelineOptions) -> Json:
    network: Json = {
        "subnetId": given.vnet_subnet_id,
        "containerInstanceSubnetId": given.container_instance_subnet_id,
        "proxyVmSize": given.proxy_vm_size,
    }
    profile: Json = {
        "vmSize": given.vm_size,
        "osDiskSizeGB": given.os_disk_size_gb,
        "userAssignedIdentities": list(given.build_vm_identities),
        "vnetConfig": {name: value for name, value in network.items() if value},
    }
    return {name: value for name, value in profile.items() if value}


def _resource_tags(given: PipelineOptions) -> dict[str, str]:
    return tags(given.managed_resource_tags, given.where("managed_resource_tags"))


# --- where it goes ---


def _distribute(given: PipelineOptions, options: Options, azure: Azure, run: str) -> Json:
    match target_type(given):
        case "VHD":
            return _target(given, "VHD") | ({"uri": given.vhd_uri} if given.vhd_uri else {})
        case "SharedImage":
            return _gallery(given, options, azure)
        case _:
            return _managed_image(given, options, azure, run)


def _target(given: PipelineOptions, kind: str) -> Json:
    return {"type": kind, "runOutputName": given.run_output_name or f"{kind}_distribute"}


def _managed_image(given: PipelineOptions, options: Options, azure: Azure, run: str) -> Json:
    text, where = _first(given, "dist_resource_id", "image_id_for_distribute")
    image = azure.id(_IMAGES, text or f"mi-{run}", where or "the managed image")
    text, where = given.managed_image_location, given.where("managed_image_location")
    places = regions(text, where) or (options.location,)
    if len(places) > 1:
        raise OptionsError(f"{where}: a managed image is in one region", hint="use a gallery for several regions")
    return _target(given, "ManagedImage") | {"imageId": image, "location": places[0]}


def _gallery(given: PipelineOptions, options: Options, azure: Azure) -> Json:
    text, where = _first(given, "dist_resource_id", "gallery_image_id")
    if not text:
        raise OptionsError(
            "a gallery image needs the id of its definition",
            hint=f"{given.names_of('dist_resource_id')}, {_shape(_DEFINITIONS)}",
        )
    found = parse_resource_id(text)
    definition = text if found and found.is_a(_VERSIONS) else azure.id(_DEFINITIONS, text, where)
    target = _target(given, "SharedImage") | {"galleryImageId": definition}
    kind = given.storage_account_type
    if given.target_regions.strip():
        replicas = regions_with_replicas(given.target_regions, given.where("target_regions"))
        places: list[dict[str, object]] = [{"name": name, "replicaCount": count} for name, count in replicas.items()]
    else:
        text, where = _first(given, "dist_location", "replication_regions")
        places = [{"name": name} for name in regions(text, where) or (options.location,)]
    target["targetRegions"] = [place | ({"storageAccountType": kind} if kind else {}) for place in places]
    if given.exclude_from_latest:
        target["excludeFromLatest"] = True
    if given.versioning_scheme or given.versioning_major is not None:
        major = {"major": given.versioning_major} if given.versioning_major is not None else {}
        target["versioning"] = {"scheme": given.versioning_scheme or "Latest", **major}
    return target


def _first(given: PipelineOptions, *fields: str) -> tuple[str, str]:
    """The first of several inputs that has a value, and its name."""
    for field in fields:
        if text := str(getattr(given, field)).strip():
            return text, given.where(field)
    return "", ""


def _name(given: PipelineOptions, source: Json, target: Json) -> str:
    """The same in every run: a resource group that is used again is marked with it."""
    images = (given.dist_resource_id, given.image_id_for_distribute) if target["type"] == "ManagedImage" else ()
    ids = (*images, target.get("galleryImageId"), source.get("imageId"), source.get("imageVersionId"))
    own = next((_called(str(each)) for each in ids if each), f"{source.get('offer')}-{source.get('sku')}")
    return re.sub(r"[^A-Za-z0-9\-_.]+", "-", given.template_name.strip() or own).strip("-.")[:64] or "image"


def _called(text: str) -> str:
    """The image's own name, of an id or of a name; that of the definition for a version."""
    found = parse_resource_id(text)
    names = found.names if found else tuple(text.strip().split("/"))
    return names[1] if found is not None and found.is_a(_VERSIONS) else names[-1]


def _check_id(text: str, resource_type: str, where: str) -> None:
    found = parse_resource_id(text)
    if found is None or not found.is_a(resource_type):
        raise OptionsError(f"{where}: `{text}` is not the id of a {resource_type}", hint=_shape(resource_type))


def _shape(resource_type: str) -> str:
    namespace, *kinds = resource_type.split("/")
    tail = "".join(f"/{kind}/NAME" for kind in kinds)
    return f"/subscriptions/ID/resourceGroups/NAME/providers/{namespace}{tail}"
