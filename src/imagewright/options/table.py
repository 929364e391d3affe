"""The one table of options. A row is a field of `Options`: its type, its default, its spelling, its help.

The command line, the action's inputs, the task's inputs and `docs/reference/options.md` are generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from imagewright.core.choices import Accelerator, Keep, Reach
from imagewright.core.errors import OptionsError
from imagewright.core.plan import OnError
from imagewright.options.choices import Color, EventFormat, PlanFormat, ReportFormat
from imagewright.options.layers import Provenance, Value
from imagewright.options.parse import default_of
from imagewright.options.row import ALL, Command, Group, Kind, Option, table_of


def row(
    help: str,  # noqa: A002 - argparse's own word
    group: Group,
    commands: frozenset[Command],
    **more: Any,
) -> Any:
    """A field of `Options` and its row of the table at once; `more` are the other fields of `Option`."""
    option = Option(help=help, group=group, commands=commands, **more)
    if option.kind is Kind.PATH:  # where the home directory is may change, and need not be known
        return field(default_factory=partial(default_of, option), metadata={"option": option})
    return field(default=default_of(option), metadata={"option": option})


PUBLISHER = "azure"
"""The platform that `publish_to_azure` uploads to: it is not the one that builds."""

READS = frozenset({Command.BUILD, Command.PLAN, Command.VALIDATE})
PLANS = frozenset({Command.BUILD, Command.PLAN})
BUILDS = frozenset({Command.BUILD})
CACHES = frozenset({Command.CACHE_LIST, Command.CACHE_PRUNE})
REPORTS = frozenset({Command.VALIDATE, Command.CACHE_LIST, Command.CACHE_PRUNE, Command.DOCTOR})
MACHINES = PLANS | CACHES | {Command.DOCTOR}
SWEEPS = frozenset({Command.CLEANUP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one call, read and checked. A field that the command does not know has its default."""

    templates: tuple[str, ...] = row(
        "the image template: an AIB body or an ARM template, as JSON or YAML; `-` is standard input",
        Group.TEMPLATE, READS, name="template", metavar="TEMPLATE", positional=True, repeatable=True,
        env=None,
        pipeline_help="the image template: a file (an AIB body or an ARM template, JSON or YAML), or its text itself",
    )  # fmt: skip
    name: str = row(
        "which image template, where the file holds several",
        Group.TEMPLATE, PLANS, metavar="TEMPLATE",
    )  # fmt: skip
    parameters: Path | None = row(
        "an ARM parameters file",
        Group.TEMPLATE, READS, kind=Kind.PATH, metavar="FILE",
        pipeline_help="an ARM parameters file, or its text itself",
    )  # fmt: skip
    overrides: tuple[tuple[str, str], ...] = row(
        "the value of one template parameter; stronger than the parameters file",
        Group.TEMPLATE, READS, name="set", kind=Kind.ASSIGNMENT, repeatable=True, metavar="NAME=VALUE",
    )  # fmt: skip
    artifacts: Path | None = row(
        "a folder, file or pattern: the build artifacts that are put into the image before the first customizer runs",
        Group.TEMPLATE, PLANS, kind=Kind.PATH, metavar="DIR",
        former_github=("customizer-source",), former_task=("packagePath",),
    )  # fmt: skip
    source_disk: Path | None = row(
        "start from this qcow2, raw or VHD file instead of the template's source",
        Group.TEMPLATE, PLANS, kind=Kind.PATH, metavar="FILE",
    )  # fmt: skip

    platform: str = row(
        "where the build runs: QEMU on this machine, or your own Azure subscription",
        Group.BUILD, MACHINES | SWEEPS, kind=Kind.CHOICE, choices=("local", "azure"), default="local",
        pipeline_help="where the build runs: `azure` (your own subscription) by default, or `local` (QEMU on the "
        "runner)",
    )  # fmt: skip
    output: Path = row(
        "where files that come out are written",
        Group.BUILD, PLANS, kind=Kind.PATH, default="out", short="-o", metavar="DIR",
    )  # fmt: skip
    result: Path | None = row(
        "write what came out, or what went wrong, to this file as JSON",
        Group.BUILD, BUILDS, kind=Kind.PATH, metavar="FILE",
    )  # fmt: skip
    on_error: OnError | None = row(
        "after a failed step: delete the machine, or keep it and say how to reach it; overrides `errorHandling`",
        Group.BUILD, BUILDS, kind=Kind.CHOICE, choices=OnError, pipeline=False,
    )  # fmt: skip
    timeout: int | None = row(
        "how many minutes the build may take; overrides `buildTimeoutInMinutes`",
        Group.BUILD, PLANS, kind=Kind.INTEGER, minimum=1, metavar="MINUTES",
        former_github=("build-timeout-in-minutes",), former_task=("buildTimeoutInMinutes",),
    )  # fmt: skip

    cache: Keep = row(
        "which checkpoints this build keeps; those that are there are used in any case",
        Group.CACHE, PLANS, kind=Kind.CHOICE, choices=Keep, default="auto",
    )  # fmt: skip
    no_cache: bool = row(
        "use no checkpoint and keep none",
        Group.CACHE, PLANS, kind=Kind.BOOLEAN,
    )  # fmt: skip
    cache_size: int | None = row(
        "how much checkpoints may take in all, the least recently used go first; `none` for no limit",
        Group.CACHE, BUILDS | {Command.CACHE_PRUNE}, kind=Kind.SIZE, default="20GiB", metavar="SIZE",
    )  # fmt: skip
    cache_age: float | None = row(
        "how long a checkpoint may lie unused; `none` for no limit",
        Group.CACHE, BUILDS | {Command.CACHE_PRUNE}, kind=Kind.AGE, default="30d", metavar="AGE",
    )  # fmt: skip

    memory: int | None = row(
        "memory of the build VM in MiB",
        Group.LOCAL, PLANS, kind=Kind.INTEGER, minimum=128, metavar="MIB",
    )  # fmt: skip
    cpus: int | None = row(
        "processors of the build VM",
        Group.LOCAL, PLANS, kind=Kind.INTEGER, minimum=1, metavar="COUNT",
    )  # fmt: skip
    accelerator: Accelerator = row(
        "how QEMU runs the build VM; `auto` takes KVM where it really works",
        Group.LOCAL, PLANS | {Command.DOCTOR}, kind=Kind.CHOICE, choices=Accelerator, default="auto",
    )  # fmt: skip

    subscription: str = row(
        "the Azure subscription's id: what `subscription()` means in a template, and where the azure platform builds",
        Group.AZURE, READS | CACHES | SWEEPS | {Command.DOCTOR}, metavar="ID",
        env=("IMAGEWRIGHT_SUBSCRIPTION", "AZURE_SUBSCRIPTION_ID"),
        former_github=("subscription-id",),
    )  # fmt: skip
    resource_group: str = row(
        "the resource group: what `resourceGroup()` means in a template, and where results go by default",
        Group.AZURE, READS | CACHES | SWEEPS | {Command.DOCTOR}, metavar="NAME",
        former_github=("resource-group-name",), former_task=("ibAzureResourceGroup",),
    )  # fmt: skip
    location: str = row(
        "the Azure region of the resource group",
        Group.AZURE, READS | {Command.DOCTOR}, metavar="REGION", former_task=("ibLocation",),
    )  # fmt: skip

    reach: Reach = row(
        "how the build VM in Azure is driven: over SSH, through its VM agent (no open port), or whichever works",
        Group.AZURE, BUILDS, kind=Kind.CHOICE, choices=Reach, default="auto",
    )  # fmt: skip
    agent_address: str = row(
        "the address that Azure sees of this machine, as IP or CIDR: the only one that the build VM lets in; without "
        "it a public service is asked",
        Group.AZURE, BUILDS, metavar="ADDRESS",
    )  # fmt: skip
    private: bool = row(
        "give the build VM no public address; it is driven through its VM agent",
        Group.AZURE, BUILDS, kind=Kind.BOOLEAN,
    )  # fmt: skip
    fallback_sizes: tuple[str, ...] = row(
        "a VM size to try when those before it cannot be had",
        Group.AZURE, PLANS, name="fallback-size", repeatable=True, metavar="SIZE",
    )  # fmt: skip
    zones: tuple[str, ...] = row(
        "an availability zone to try, in the order given",
        Group.AZURE, PLANS, name="zone", repeatable=True, metavar="ZONE",
    )  # fmt: skip
    spot: bool = row(
        "build on spot machines: cheaper, and Azure may take one back; the build then resumes on another",
        Group.AZURE, PLANS, kind=Kind.BOOLEAN,
    )  # fmt: skip
    os_disk_type: str = row(
        "the storage type of the build VM's disks (Premium_LRS where the size takes it)",
        Group.AZURE, BUILDS, metavar="TYPE",
    )  # fmt: skip
    ephemeral_os_disk: bool = row(
        "give the validation VM an ephemeral OS disk (a build VM cannot have one: it could not be captured)",
        Group.AZURE, BUILDS, kind=Kind.BOOLEAN,
    )  # fmt: skip
    tags: tuple[tuple[str, str], ...] = row(
        "a tag for everything that the build creates for its own use, where a policy demands one",
        Group.AZURE, BUILDS, name="tag", kind=Kind.ASSIGNMENT, repeatable=True, metavar="NAME=VALUE",
    )  # fmt: skip
    staging_account: str = row(
        "the id of a storage account to use instead of making one; an account is needed only for a VHD without `uri` "
        "and for `--reach agent`",
        Group.AZURE, BUILDS, metavar="ID",
    )  # fmt: skip
    staging_account_name: str = row(
        "the name of the storage account that is made",
        Group.AZURE, BUILDS, metavar="NAME",
    )  # fmt: skip
    staging_account_network: str = row(
        "who alone may reach the storage account that is made: addresses and subnet ids, separated by commas",
        Group.AZURE, BUILDS, metavar="RULES",
    )  # fmt: skip
    end_of_life: float | None = row(
        "how long a new gallery image version is meant to be used: its end-of-life date",
        Group.AZURE, BUILDS, kind=Kind.AGE, metavar="AGE",
    )  # fmt: skip
    cache_group: str = row(
        "the resource group that holds the checkpoints of builds in Azure",
        Group.AZURE, PLANS | CACHES | SWEEPS, default="imagewright-cache", metavar="NAME",
    )  # fmt: skip
    publish_to_azure: bool = row(
        "build on this machine and publish to Azure: the disk is uploaded, no build VM is made there",
        Group.AZURE, PLANS, kind=Kind.BOOLEAN,
        pipeline_help="build on the runner (`platform` is then `local`) and publish to Azure: the disk is uploaded, "
        "no build VM is made there",
    )  # fmt: skip
    cloud: str = row(
        "the Azure cloud",
        Group.AZURE, MACHINES | SWEEPS, kind=Kind.CHOICE, pipeline=False,
        choices=("AzureCloud", "AzureUSGovernment", "AzureChinaCloud"),
    )  # fmt: skip
    arm_endpoint: str = row(
        "the management endpoint of another cloud (an https address)",
        Group.AZURE, MACHINES | SWEEPS, metavar="URL", pipeline=False,
    )  # fmt: skip
    authority_host: str = row(
        "who issues the tokens of another cloud (an https address)",
        Group.AZURE, MACHINES | SWEEPS, metavar="URL", pipeline=False,
        env=("IMAGEWRIGHT_AUTHORITY_HOST", "AZURE_AUTHORITY_HOST"),
    )  # fmt: skip
    ca_bundle: str = row(
        "a PEM file of authorities that connections to Azure are checked with, for a proxy or another cloud",
        Group.AZURE, MACHINES | SWEEPS, metavar="FILE", pipeline=False,
    )  # fmt: skip

    ledger: Path | None = row(
        "clean up what this ledger lists, instead of every ledger under the home directory",
        Group.CLEANUP, SWEEPS, kind=Kind.PATH, metavar="FILE", pipeline=False,
    )  # fmt: skip
    older_than: float | None = row(
        "only builds that started longer ago than this",
        Group.CLEANUP, SWEEPS, kind=Kind.AGE, metavar="AGE", pipeline=False,
    )  # fmt: skip
    force: bool = row(
        "also builds whose process is still alive",
        Group.CLEANUP, SWEEPS, kind=Kind.BOOLEAN, pipeline=False, env=None,
    )  # fmt: skip

    events: EventFormat = row(
        "how the build is told: lines for people on standard error, or one JSON object per event on standard output",
        Group.OUTPUT, BUILDS, name="format", kind=Kind.CHOICE, choices=EventFormat, default="text",
        pipeline=False, env=None,
    )  # fmt: skip
    planned: PlanFormat = row(
        "how the plan is written; `matrix` prints the legs of a matrix for GitHub or, there, for Azure Pipelines",
        Group.OUTPUT, frozenset({Command.PLAN}), name="format", kind=Kind.CHOICE, choices=PlanFormat, default="text",
        pipeline=False, env=None,
    )  # fmt: skip
    report: ReportFormat = row(
        "how the answer is written",
        Group.OUTPUT, REPORTS, name="format", kind=Kind.CHOICE, choices=ReportFormat, default="text",
        pipeline=False, env=None,
    )  # fmt: skip
    quiet: bool = row(
        "say nothing but warnings, errors and results",
        Group.OUTPUT, ALL, kind=Kind.BOOLEAN, short="-q", pipeline=False,
    )  # fmt: skip
    verbose: bool = row(
        "say every decision",
        Group.OUTPUT, ALL, kind=Kind.BOOLEAN, short="-v",
    )  # fmt: skip
    color: Color = row(
        "colours; `auto` means on a terminal where `NO_COLOR` is not set; `never` has no live view either",
        Group.OUTPUT, ALL, kind=Kind.CHOICE, choices=Color, default="auto", pipeline=False,
    )  # fmt: skip
    home: Path = row(
        "where checkpoints, images, downloads and ledgers are kept (`$XDG_DATA_HOME/imagewright` if that is set)",
        Group.OUTPUT, ALL, kind=Kind.PATH, default="~/.local/share/imagewright", metavar="DIR",
    )  # fmt: skip

    given: tuple[tuple[str, Value], ...] = field(default=(), compare=False)
    """Every value that is not a default, by field, with its provenance."""

    @property
    def template(self) -> str:
        """The one template of a command that takes one."""
        match self.templates:
            case (only,):
                return only
            case ():
                raise OptionsError("no template was given", hint="name a file, or `-` for standard input")
            case _:
                raise OptionsError("more than one template was given", hint="one call builds one file")

    def origin_of(self, field: str) -> Value:
        """Where the value of `field` came from."""
        default = Value(getattr(self, field), Provenance.DEFAULT)
        return dict(self.given).get(field, default)


TABLE = table_of(Options)


def rows(command: Command) -> tuple[Option, ...]:
    """The options that `command` takes, in the order of the table."""
    return tuple(option for option in TABLE if command in option.commands)
