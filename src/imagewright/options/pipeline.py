"""The rows of the table that only pipelines have: the job, the sign-in, and a template made of inputs alone.

Every input of azure/build-vm-image and of AzureImageBuilderTask@1 is here or in `table.py` under its own name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from imagewright.options.choices import ArtifactsFrom, Auth, OnFailure, When
from imagewright.options.layers import Provenance, Value
from imagewright.options.row import Command, Group, Kind, Option, table_of
from imagewright.options.table import TABLE
from imagewright.options.table import row as any_row

SOURCE_TYPES = ("PlatformImage", "SharedImageGallery", "ManagedImage", "marketplace", "gallery")
TARGET_TYPES = ("ManagedImage", "SharedImageGallery", "VHD", "sig")
NOWHERE: frozenset[Command] = frozenset()


row = partial(any_row, commands=NOWHERE, env=None)
"""A field of `PipelineOptions` and its row at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineOptions:
    """What a pipeline says beyond `Options`."""

    # --- job ---

    dry_run: bool = row(
        "check everything and say what would be done; create nothing (locally the source's disk is got ready, once)",
        Group.JOB, kind=Kind.BOOLEAN,
    )  # fmt: skip
    when: When = row(
        "`source-changed` builds only when the source image has a newer version than the last image was built from",
        Group.JOB, kind=Kind.CHOICE, choices=When, default="always",
    )  # fmt: skip
    on_failure: OnFailure | None = row(
        "after a failed step: delete the machine, or keep it and say how to reach it; overrides `errorHandling`",
        Group.JOB, kind=Kind.CHOICE, choices=OnFailure,
    )  # fmt: skip
    job_timeout: int | None = row(
        "the job's own limit in minutes: a build that may take longer is warned of, no runner tells it by itself",
        Group.JOB, kind=Kind.INTEGER, minimum=0,
    )  # fmt: skip

    # --- sign-in ---

    azure_subscription: str = row(
        "the Azure Resource Manager service connection to sign in with",
        Group.SIGN_IN, github=False, task_type="connectedService:AzureRM", former_task=("ibSubscription",),
    )  # fmt: skip
    auth: Auth = row(
        "how to sign in; `auto` takes what the job has, federated credentials first, and never a machine's identity",
        Group.SIGN_IN, kind=Kind.CHOICE, choices=Auth, default="auto",
    )  # fmt: skip
    client_id: str = row(
        "the application (client) id to sign in as; on GitHub with `permissions: id-token: write`",
        Group.SIGN_IN,
    )  # fmt: skip
    tenant_id: str = row(
        "the Microsoft Entra tenant of `client-id`",
        Group.SIGN_IN,
    )  # fmt: skip
    environment: str = row(
        "the Azure cloud",
        Group.SIGN_IN, kind=Kind.CHOICE, choices=("AzureCloud", "AzureUSGovernment", "AzureChinaCloud"),
    )  # fmt: skip

    # --- build artifacts ---

    artifacts_exclude: tuple[str, ...] = row(
        "patterns of files that are left out of the build artifacts, for example `**/*.pdb`",
        Group.ARTIFACTS, repeatable=True,
    )  # fmt: skip
    keep_artifacts: bool = row(
        "leave the build artifacts in the image; without it they are removed after the last customizer",
        Group.ARTIFACTS, kind=Kind.BOOLEAN,
    )  # fmt: skip
    artifacts_from: ArtifactsFrom | None = row(
        "download the build artifacts of another build, pipeline run or release, with the job's own token",
        Group.ARTIFACTS, kind=Kind.CHOICE, choices=ArtifactsFrom, github=False,
    )  # fmt: skip
    artifacts_name: str = row(
        "the name of the artifact to download; of a release: the alias, or `alias/artifact` where there are several; "
        "by default the primary one",
        Group.ARTIFACTS, github=False, visible="artifactsFrom != \"\"",
    )  # fmt: skip
    artifacts_run: str = row(
        "the id of the build, run or release to download from; without it the latest successful one",
        Group.ARTIFACTS, github=False, visible="artifactsFrom != \"\"",
    )  # fmt: skip
    artifacts_definition: str = row(
        "the id of the pipeline whose latest successful run is taken; without it this pipeline",
        Group.ARTIFACTS, github=False, visible="artifactsFrom != \"\"",
    )  # fmt: skip
    artifacts_branch: str = row(
        "only runs of this branch, for example `refs/heads/main`",
        Group.ARTIFACTS, github=False, visible="artifactsFrom != \"\"",
    )  # fmt: skip
    artifacts_project: str = row(
        "the project to download from; without it this project",
        Group.ARTIFACTS, github=False, visible="artifactsFrom != \"\"",
    )  # fmt: skip
    customizer_destination: str = row(
        "taken for the sake of old workflows: build artifacts are in `/tmp/<folder>`, scripts copy what shall stay",
        Group.ARTIFACTS, task=False,
    )  # fmt: skip
    storage_account: str = row(
        "taken for the sake of old pipelines: the build brings its own staging, no storage account key is ever read",
        Group.ARTIFACTS, github=False, former_task=("storageAccountName",),
    )  # fmt: skip

    # --- a template made of inputs: where it starts ---

    template_name: str = row(
        "the name of the template made of inputs, by default that of its target or source; if it contains `.json`, "
        "the template file",
        Group.SOURCE, task=False, former_github=("image-builder-template-name",),
    )  # fmt: skip
    source_image: str = row(
        "without a template: `publisher:offer:sku:version`, or the id of a managed image or gallery image version",
        Group.SOURCE,
    )  # fmt: skip
    source_image_type: str = row(
        "what `source-image` is; without it the form tells",
        Group.SOURCE, kind=Kind.CHOICE, choices=(*SOURCE_TYPES,), former_task=("imageSource",),
    )  # fmt: skip
    source_os_type: str = row(
        "the operating system of the source image",
        Group.SOURCE, kind=Kind.CHOICE, choices=("linux", "windows"),
    )  # fmt: skip
    base_image: str = row(
        "a marketplace image as `publisher:offer:sku`",
        Group.SOURCE, github=False, visible="imageSource = marketplace",
    )  # fmt: skip
    base_image_pub_offer_sku: str = row(
        "a marketplace image as `publisher:offer:sku`; stronger than `baseImage`",
        Group.SOURCE, github=False, visible="imageSource = marketplace",
    )  # fmt: skip
    base_image_version: str = row(
        "the version of the marketplace image; without it `latest`",
        Group.SOURCE, github=False, visible="imageSource = marketplace",
    )  # fmt: skip
    purchase_plan: str = row(
        "the purchase plan of the marketplace image as `name:product:publisher`",
        Group.SOURCE, former_task=("platformImagePurchasePlan",),
    )  # fmt: skip
    custom_image_resource_id: str = row(
        "the id of the managed image",
        Group.SOURCE, github=False, visible="imageSource = managedimage",
    )  # fmt: skip
    image_version_id: str = row(
        "the id of the gallery image version",
        Group.SOURCE, github=False, visible="imageSource = gallery",
    )  # fmt: skip
    vm_size: str = row(
        "the size of the build VM",
        Group.SOURCE,
    )  # fmt: skip
    os_disk_size_gb: int | None = row(
        "the size of the OS disk in GB, where it shall be larger than the source's",
        Group.SOURCE, kind=Kind.INTEGER, minimum=0, task_name="osDiskSizeGB",
    )  # fmt: skip
    managed_identity: str = row(
        "the user assigned identity of the template: its id, or its name in the resource group",
        Group.SOURCE,
    )  # fmt: skip
    build_vm_identities: tuple[str, ...] = row(
        "the user assigned identities of the build VM",
        Group.SOURCE, repeatable=True,
    )  # fmt: skip
    vnet_subnet_id: str = row(
        "the id of the subnet of the build VM",
        Group.SOURCE,
    )  # fmt: skip
    container_instance_subnet_id: str = row(
        "the id of the subnet of the service's container instances",
        Group.SOURCE,
    )  # fmt: skip
    proxy_vm_size: str = row(
        "the size of the service's proxy VM",
        Group.SOURCE,
    )  # fmt: skip
    staging_resource_group: str = row(
        "the id of the resource group for the build's own resources",
        Group.SOURCE,
    )  # fmt: skip
    managed_resource_tags: str = row(
        "tags of the resources that the build makes, written like `image-tags` or as a JSON object",
        Group.SOURCE, task_type="multiLine",
    )  # fmt: skip

    # --- what is done ---

    provisioner: str = row(
        "what runs the inline script; without it `source-os-type` tells",
        Group.SCRIPT, kind=Kind.CHOICE, choices=("shell", "powershell"),
    )  # fmt: skip
    inline_script: str = row(
        "commands to run in the image, one a line",
        Group.SCRIPT, task_type="multiLine", former_github=("customizer-script",),
    )  # fmt: skip
    windows_update: bool = row(
        "run Windows Update as the last customizer",
        Group.SCRIPT, kind=Kind.BOOLEAN,
        former_github=("customizer-windows-update",), former_task=("windowsUpdateProvisioner",),
    )  # fmt: skip
    run_elevated: bool = row(
        "run the PowerShell script elevated",
        Group.SCRIPT, kind=Kind.BOOLEAN,
    )  # fmt: skip
    run_as_system: bool = row(
        "run the PowerShell script as SYSTEM, elevated",
        Group.SCRIPT, kind=Kind.BOOLEAN,
    )  # fmt: skip
    validation_inline_script: str = row(
        "commands that must succeed on a machine started from the finished image, one a line",
        Group.SCRIPT, task_type="multiLine",
    )  # fmt: skip
    source_validation_only: bool = row(
        "run the validation on the source image and build nothing",
        Group.SCRIPT, kind=Kind.BOOLEAN,
    )  # fmt: skip
    continue_distribute_on_failure: bool = row(
        "distribute the image even if its validation fails",
        Group.SCRIPT, kind=Kind.BOOLEAN,
    )  # fmt: skip
    optimize_vm_boot: bool = row(
        "make machines of this image start faster",
        Group.SCRIPT, kind=Kind.BOOLEAN,
    )  # fmt: skip

    # --- where it goes ---

    dist_type: str = row(
        "what comes out, by default a managed image",
        Group.TARGET, kind=Kind.CHOICE, choices=TARGET_TYPES,
        former_github=("distributor-type",), former_task=("distributeType",),
    )  # fmt: skip
    dist_resource_id: str = row(
        "the id of the managed image or of the gallery image definition",
        Group.TARGET,
    )  # fmt: skip
    dist_location: str = row(
        "the regions of the gallery image version, separated by commas; a managed image is in `location`",
        Group.TARGET,
    )  # fmt: skip
    image_id_for_distribute: str = row(
        "the id of the managed image",
        Group.TARGET, github=False, visible="distributeType = managedimage",
    )  # fmt: skip
    managed_image_location: str = row(
        "the region of the managed image",
        Group.TARGET, github=False, visible="distributeType = managedimage",
    )  # fmt: skip
    gallery_image_id: str = row(
        "the id of the gallery image definition",
        Group.TARGET, github=False, visible="distributeType = sig",
    )  # fmt: skip
    replication_regions: str = row(
        "the regions of the gallery image version, separated by commas",
        Group.TARGET, github=False, visible="distributeType = sig",
    )  # fmt: skip
    storage_account_type: str = row(
        "how the gallery keeps the version",
        Group.TARGET, kind=Kind.CHOICE, choices=("Standard_LRS", "Standard_ZRS", "Premium_LRS"),
        former_task=("distributeStorageAccountType",),
    )  # fmt: skip
    target_regions: str = row(
        "the regions of the gallery image version with replicas, `westeurope=2`, one a line or separated by commas",
        Group.TARGET, task_type="multiLine",
    )  # fmt: skip
    versioning_scheme: str = row(
        "the number of the new gallery version: the next one, or the source's",
        Group.TARGET, kind=Kind.CHOICE, choices=("Latest", "Source"), former_task=("distributeVersioningScheme",),
    )  # fmt: skip
    versioning_major: int | None = row(
        "the major number within which the next version is taken",
        Group.TARGET, kind=Kind.INTEGER, minimum=0, former_task=("distributeVersioningMajor",),
    )  # fmt: skip
    exclude_from_latest: bool = row(
        "do not let the new gallery version be `latest`",
        Group.TARGET, kind=Kind.BOOLEAN,
    )  # fmt: skip
    vhd_uri: str = row(
        "the URI of the blob that a VHD is written to",
        Group.TARGET,
    )  # fmt: skip
    run_output_name: str = row(
        "the name of the run output; returned as it is given",
        Group.TARGET,
    )  # fmt: skip
    image_tags: str = row(
        "tags of the image as `name:value` or `name=value`, one a line or separated by commas; with a template too",
        Group.TARGET, task_type="multiLine", former_github=("dist-image-tags",),
    )  # fmt: skip

    given: tuple[tuple[str, Value], ...] = field(default=(), compare=False)
    """Every value that is not a default, by field, with its provenance."""

    def where(self, field: str) -> str:
        """The input that gave `field`, as a message names it, or `""`."""
        found = dict(self.given).get(field, Value(None, Provenance.DEFAULT))
        return found.where

    @staticmethod
    def names_of(field: str) -> str:
        """What the input for `field` is called, for whoever has not given it."""
        option = next(each for each in INPUTS if each.field == field)
        return f"`{option.github_input}` (`{option.task_input}` in Azure Pipelines)"


PIPELINE_TABLE = table_of(PipelineOptions)

INPUTS: tuple[Option, ...] = tuple(option for option in (*TABLE, *PIPELINE_TABLE) if option.pipeline)
"""Every row that pipelines offer."""

MAKES_TEMPLATE = frozenset({Group.SOURCE, Group.SCRIPT, Group.TARGET})
"""The groups whose inputs make a template, and so contradict one that is given."""

BESIDE_TEMPLATE = frozenset({"image_tags", "source_os_type", "provisioner"})
"""Fields of those groups that go together with a template."""


def target_type(given: PipelineOptions) -> str:
    """What comes out, as a template says it: `VHD`, `SharedImage` or `ManagedImage`."""
    kinds = {"vhd": "VHD", "sharedimagegallery": "SharedImage", "sig": "SharedImage"}
    return kinds.get(given.dist_type.lower(), "ManagedImage")
