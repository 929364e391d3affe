"""What will be done, frozen. A template is compiled to a plan; the engine runs plans and knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from imagewright.core.actions import Action, Content
from imagewright.core.origin import Origin
from imagewright.core.secret import Mask


class OsType(StrEnum):
    LINUX = "Linux"
    WINDOWS = "Windows"


class Generation(StrEnum):
    """Hyper-V generation: V1 boots by BIOS, V2 by UEFI."""

    V1 = "V1"
    V2 = "V2"


# --- where an image starts ---


@dataclass(frozen=True, slots=True)
class PurchasePlan:
    name: str
    product: str
    publisher: str


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """A marketplace image. `version` may be `latest`."""

    publisher: str
    offer: str
    sku: str
    version: str
    plan: PurchasePlan | None = None

    def __str__(self) -> str:
        return f"{self.publisher}:{self.offer}:{self.sku}:{self.version}"


@dataclass(frozen=True, slots=True)
class ManagedImage:
    """A managed image, by its ARM resource id."""

    image_id: str

    def __str__(self) -> str:
        return self.image_id


@dataclass(frozen=True, slots=True)
class SharedImageVersion:
    """A compute gallery image version, by its ARM resource id; the last segment may be `latest`."""

    image_version_id: str

    def __str__(self) -> str:
        return self.image_version_id


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A qcow2, raw or VHD file on this machine: not AIB's, given by option."""

    path: str

    def __str__(self) -> str:
        return self.path


Source = PlatformImage | ManagedImage | SharedImageVersion | DiskFile


@dataclass(frozen=True, slots=True)
class ExactSource:
    """A source with `latest` resolved, and the facts that a platform knows of it.

    `identity` names the content: two sources with the same identity hold the same bytes.
    `location` is the platform's own (a path, a resource id); `size` is the virtual size in bytes.
    """

    source: Source
    exact_version: str
    identity: str
    os_type: OsType
    generation: Generation
    architecture: str
    location: str
    size: int
    security_type: str = "Standard"
    plan: PurchasePlan | None = None

    def __str__(self) -> str:
        return str(self.source)


# --- what is done ---


@dataclass(frozen=True, slots=True)
class Step:
    """One customizer or validator. `type` is AIB's name (`Shell`, `File`, ...); `number` starts at 1."""

    number: int
    name: str
    type: str
    actions: tuple[Action, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """The build VM as the template asks for it. Zero and empty mean: the platform's default."""

    vm_size: str = ""
    os_disk_size_gb: int = 0
    data_disk_sizes_gb: tuple[int, ...] = ()
    subnet_id: str = ""
    identities: tuple[str, ...] = ()
    location: str = ""


class OnError(StrEnum):
    CLEANUP = "cleanup"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Validation:
    """`validate` of the template. `source_only`: the validators run on the source image and nothing is built."""

    steps: tuple[Step, ...] = ()
    source_only: bool = False
    continue_distribute_on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Optimization:
    """`optimize` of the template. `workload` is the script of `optimize.workload`, as content."""

    vm_boot: bool = False
    workload: Content | None = None
    workload_origin: Origin | None = None


# --- where an image goes ---


@dataclass(frozen=True, slots=True)
class TargetRegion:
    name: str
    replica_count: int = 1
    storage_account_type: str = "Standard_LRS"


@dataclass(frozen=True, slots=True)
class LatestVersioning:
    """The next patch after the highest version, or after the highest of `major` (-1: any)."""

    major: int = -1


@dataclass(frozen=True, slots=True)
class SourceVersioning:
    """The version number of the source image."""


@dataclass(frozen=True, slots=True)
class ExplicitVersion:
    version: str


Versioning = LatestVersioning | SourceVersioning | ExplicitVersion


@dataclass(frozen=True, slots=True)
class ManagedImageTarget:
    run_output_name: str
    image_id: str
    location: str
    tags: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SharedImageTarget:
    """A new version of the gallery image definition `gallery_image_id` (an id without `/versions/...`)."""

    run_output_name: str
    gallery_image_id: str
    versioning: Versioning
    regions: tuple[TargetRegion, ...] = ()
    exclude_from_latest: bool = False
    replication_mode: str = "Full"
    tags: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class VhdTarget:
    """A fixed VHD. `uri` is the blob to write, or `""` for the platform's own place."""

    run_output_name: str
    uri: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = field(default=None, compare=False)


Target = ManagedImageTarget | SharedImageTarget | VhdTarget


# --- the whole ---


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """What only the Azure platform reads: AIB's own fields about resource groups, identity and network."""

    subscription_id: str = ""
    resource_group: str = ""
    staging_resource_group: str = ""
    managed_resource_tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One image template, compiled. `timeout` is in seconds and covers customize to distribute."""

    name: str
    origin: Origin
    source: Source
    machine: MachineSpec
    steps: tuple[Step, ...]
    validation: Validation
    optimization: Optimization
    targets: tuple[Target, ...]
    timeout: float = 240 * 60.0
    on_customizer_error: OnError = OnError.CLEANUP
    on_validation_error: OnError = OnError.CLEANUP
    azure: AzureSettings = AzureSettings()
    mask: Mask = Mask()
