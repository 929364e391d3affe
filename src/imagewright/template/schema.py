"""The image template as api-version 2025-10-01 has it: the envelope, and all but sources, steps and targets."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from imagewright.core.resource_id import parse_resource_id
from imagewright.core.shape import INT32, Known, Shape, Since, id_of, problem
from imagewright.customizers import Customizer, Validator
from imagewright.customizers.script import Sha256
from imagewright.distributors import Distributor
from imagewright.sources import Source
from imagewright.template.resource_types import IMAGE_TEMPLATE

VERSIONS = (
    "2018-02-01-preview", "2019-02-01-preview", "2019-05-01-preview", "2020-02-14", "2021-10-01", "2022-02-14",
    "2022-07-01", "2023-07-01", "2024-02-01", "2025-10-01",
)  # fmt: skip
STRICT_SINCE = "2024-02-01"
"""From here on the service refuses unknown fields and looks at upper and lower case."""

State = Literal["Enabled", "Disabled"]
OnError = Literal["cleanup", "abort"]


_IDENTITY_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"
IdentityId = Annotated[str, id_of(_IDENTITY_TYPE, "a user assigned identity", optional=True)]
SubnetId = Annotated[str, id_of("Microsoft.Network/virtualNetworks/subnets", "a subnet", optional=True)]
ResourceGroupId = Annotated[str, id_of("", "a resource group", optional=True)]


def _minutes(minutes: int) -> int:
    if 0 < minutes < 6 or not 0 <= minutes <= 960:
        raise problem(
            "bad-timeout", f"a build cannot be limited to {minutes} minutes", hint="0 (240 minutes), or 6 to 960"
        )
    return minutes


class UserAssignedIdentity(Shape):
    read_only: ClassVar = frozenset({"clientId", "principalId"})


class Identity(Shape):
    read_only: ClassVar = frozenset({"principalId", "tenantId"})

    type: Literal["UserAssigned", "None"] = "UserAssigned"
    user_assigned_identities: dict[Known[IdentityId], Known[UserAssignedIdentity]] = Field(default={})

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if isinstance(self.user_assigned_identities, dict):
            count = len(self.user_assigned_identities)
            if count > 1:
                raise problem(
                    "one-identity",
                    f"{count} identities are given, the service takes exactly one",
                    hint="give the build VM more of them in vmProfile.userAssignedIdentities",
                    field="userAssignedIdentities",
                )
        return self


class DataDisk(Shape):
    size_gb: Annotated[int, Field(ge=0, le=INT32, alias="sizeGB")] = 0


class VirtualNetwork(Shape):
    subnet_id: SubnetId = ""
    container_instance_subnet_id: Annotated[SubnetId, Since("2024-02-01")] = ""
    proxy_vm_size: Annotated[str, Since("2021-10-01")] = ""

    @model_validator(mode="after")
    def _container_instance_subnet(self) -> Self:
        field = "containerInstanceSubnetId"
        if not self.container_instance_subnet_id:
            return self
        if not self.subnet_id:
            raise problem(
                "container-subnet-needs-subnet",
                f"'{field}' needs 'subnetId'",
                hint="give both, of one network",
                field=field,
            )
        if self.proxy_vm_size:
            raise problem(
                "proxy-and-container-subnet",
                f"'proxyVmSize' and '{field}' cannot be used together",
                hint="leave 'proxyVmSize' out: with both subnets there is no proxy",
                field="proxyVmSize",
            )
        if isinstance(self.subnet_id, str) and isinstance(self.container_instance_subnet_id, str):
            build, container = parse_resource_id(self.subnet_id), parse_resource_id(self.container_instance_subnet_id)
            if build and container and build.same_as(container):
                raise problem(
                    "same-subnet",
                    f"'{field}' is the subnet of the build VM",
                    hint="it needs a subnet of its own",
                    field=field,
                )
            if build and container and not build.up().same_as(container.up()):
                raise problem(
                    "other-network",
                    f"'{field}' is in another virtual network than 'subnetId'",
                    hint="both must be in one virtual network",
                    field=field,
                )
        return self


class VmProfile(Shape):
    vm_size: str = ""
    os_disk_size_gb: Annotated[int, Field(ge=0, le=4095, alias="osDiskSizeGB"), Since("2020-02-14")] = 0
    user_assigned_identities: Annotated[tuple[Known[IdentityId], ...], Since("2021-10-01")] = ()
    vnet_config: Annotated[VirtualNetwork, Since("2020-02-14")] = VirtualNetwork()


class VmBoot(Shape):
    state: State = "Disabled"


class Workload(Shape):
    state: State = "Disabled"
    script_uri: str = ""
    sha256_checksum: Sha256 = ""


class Optimize(Shape):
    vm_boot: VmBoot = VmBoot()
    workload: Annotated[Workload, Since("2025-10-01")] = Workload()


class Validate(Shape):
    continue_distribute_on_failure: bool = False
    source_validation_only: bool = False
    in_vm_validations: Annotated[tuple[Known[Validator], ...], Field(alias="inVMValidations")] = ()


class ErrorHandling(Shape):
    on_customizer_error: OnError = "cleanup"
    on_validation_error: OnError = "cleanup"


class AutoRun(Shape):
    state: State = "Disabled"


class Properties(Shape):
    read_only: ClassVar = frozenset(
        {"provisioningState", "provisioningError", "lastRunStatus", "exactStagingResourceGroup"}
    )

    source: Source
    customize: tuple[Known[Customizer], ...] = ()
    optimize: Annotated[Optimize, Since("2022-07-01")] = Optimize()
    validation: Annotated[Validate, Field(alias="validate"), Since("2022-02-14")] = Validate()
    distribute: tuple[Known[Distributor], ...]
    error_handling: Annotated[ErrorHandling, Since("2023-07-01")] = ErrorHandling()
    build_timeout_in_minutes: Annotated[int, AfterValidator(_minutes), Since("2019-05-01-preview")] = 0
    vm_profile: Annotated[VmProfile, Since("2019-05-01-preview")] = VmProfile()
    additional_data_disks: Annotated[tuple[Known[DataDisk], ...], Since("2025-10-01")] = ()
    staging_resource_group: Annotated[ResourceGroupId, Since("2022-02-14")] = ""
    auto_run: Annotated[AutoRun, Since("2024-02-01")] = AutoRun()
    managed_resource_tags: Annotated[dict[str, Known[str]], Since("2024-02-01")] = Field(default={})


class ImageTemplate(Shape):
    """A whole image template: the resource, or the body that `az image builder create --image-template` takes."""

    read_only: ClassVar = frozenset(
        {"$schema", "comments", "condition", "copy", "dependsOn", "existing", "id", "metadata", "resources", "scope"}
        | {"systemData", "zones"}
    )

    type: str = IMAGE_TEMPLATE
    api_version: str = ""
    name: Annotated[str, Field(pattern=r"^([A-Za-z0-9\-_.]{1,64})?$")] = ""
    location: str = ""
    tags: dict[str, Known[str]] = Field(default={})
    identity: Annotated[Identity | None, Since("2019-05-01-preview")] = None
    properties: Properties
