"""What would fail later is asked before anything is created: size, quota, terms, each target."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import assert_never

from imagewright.core.clock import Deadline
from imagewright.core.errors import AuthenticationError, DistributionError, PlatformError
from imagewright.core.plan import (
    ExactSource,
    ExplicitVersion,
    ManagedImageTarget,
    Plan,
    SharedImageTarget,
    SourceVersioning,
    Target,
    VhdTarget,
)
from imagewright.core.resource_id import parse_resource_id
from imagewright.distributors.versioning import parse
from imagewright.platforms.azure import errors, gallery, managed_image, sizes
from imagewright.platforms.azure.arm import Arm, Call, Json, together
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.sizes import Candidate
from imagewright.platforms.azure.sources import region

TERMS_VERSION = "2021-01-01"


@dataclass(frozen=True, slots=True)
class Offers:
    """What a region has to say of its sizes and of what is left of the quota; None: the caller may not know."""

    skus: list[Json] | None
    usages: list[Json] | None


def offers(location: str, possible: Collection[str], arm: Arm, deadline: Deadline) -> Offers:
    """Does not depend on the source: can be asked while that is looked up. Of thousands of sizes, megabytes, only the
    `possible` ones are kept; they are in lower case."""

    def listed(doing: str, call: Call) -> list[Json] | None:
        try:
            return arm.all(doing, deadline, call)
        except AuthenticationError as error:
            if errors.code_in(error) == "AuthorizationFailed":
                return None
            raise

    place = region(location)
    return Offers(
        *together(
            lambda: listed(
                "listing the VM sizes",
                lambda c, k: (
                    sku
                    for sku in c.compute.resource_skus.list(filter=f"location eq '{place}'", **k)
                    if str(sku.name).lower() in possible
                ),
            ),
            lambda: listed("reading the quota", lambda c, k: c.compute.usage.list(location, **k)),
        )
    )


def examine(
    source: ExactSource, plan: Plan, choices: AzureChoices, offered: Offers, arm: Arm, deadline: Deadline
) -> tuple[Candidate, ...]:
    """The sizes that can be had, in the order to try them. Raises what would have come later, with its remedy."""
    found = machine_sizes(source, plan, choices, offered)
    works: list[Callable[[], None]] = [
        lambda: _terms(source, arm, deadline),
        lambda: _size(source, plan),
        lambda: targets(source, plan, arm, deadline),
    ]
    together(*works)
    return found


def targets(source: ExactSource, plan: Plan, arm: Arm, deadline: Deadline) -> None:
    """What has to be there, and what must not, for each target and for what is staged on the way to it."""
    together(
        lambda: _staging(plan, arm, deadline),
        *(lambda target=target: _target(target, source, plan, arm, deadline) for target in plan.targets),
    )


def machine_sizes(source: ExactSource, plan: Plan, choices: AzureChoices, offered: Offers) -> tuple[Candidate, ...]:
    names = sizes.wanted(source, plan.machine.vm_size, choices)
    if offered.skus is None:
        return tuple(Candidate(name, zone, premium=False) for name in names for zone in choices.zones or ("",))
    return sizes.candidates(names, source, plan.machine.location, offered.skus, offered.usages or (), choices)


def _terms(source: ExactSource, arm: Arm, deadline: Deadline) -> None:
    bought = source.plan
    if bought is None:
        return
    path = (
        f"/subscriptions/{arm.subscription}/providers/Microsoft.MarketplaceOrdering/offerTypes/virtualmachine"
        f"/publishers/{bought.publisher}/offers/{bought.product}/plans/{bought.name}/agreements/current"
    )
    try:
        found = arm.get("reading the terms of the image", deadline, path, TERMS_VERSION)
    except PlatformError:
        return  # who may not read them learns it from the VM; that is no reason to refuse the build
    if not found["properties"].get("accepted"):
        raise PlatformError(
            f"the terms of {bought.publisher}:{bought.product}:{bought.name} are not accepted in this subscription",
            hint=f"az vm image terms accept --publisher {bought.publisher} --offer {bought.product} "
            f"--plan {bought.name}",
        )


def _size(source: ExactSource, plan: Plan) -> None:
    gib = 1 << 30
    if plan.machine.os_disk_size_gb and plan.machine.os_disk_size_gb * gib < source.size:
        raise PlatformError(
            f"osDiskSizeGB {plan.machine.os_disk_size_gb} is smaller than the source's {source.size / gib:g} GiB",
            hint="an OS disk can only grow",
            origin=plan.origin,
        )


def _staging(plan: Plan, arm: Arm, deadline: Deadline) -> None:
    from imagewright.platforms.azure.staging_group import refuse_foreign

    given = parse_resource_id(plan.azure.staging_resource_group)
    if given is None:
        return
    found = arm.find(
        f"looking up the staging group {given.resource_group}",
        deadline,
        lambda c, k: c.resources.resource_groups.get(given.resource_group, **k),
    )
    if found is not None:
        refuse_foreign(found, plan)


def _target(target: Target, source: ExactSource, plan: Plan, arm: Arm, deadline: Deadline) -> None:
    try:
        match target:
            case SharedImageTarget():
                _gallery(target, source, arm, deadline)
            case ManagedImageTarget():
                managed_image.refuse_unfit(source)
                _group(managed_image.image_id(target).resource_group, arm, deadline)
                managed_image.refuse_elsewhere(target, arm, deadline)
            case VhdTarget(uri=uri):
                if not uri and plan.azure.resource_group:
                    _group(plan.azure.resource_group, arm, deadline)
            case _:
                assert_never(target)
    except PlatformError as error:
        error.origin = error.origin or target.origin
        raise


def _gallery(target: SharedImageTarget, source: ExactSource, arm: Arm, deadline: Deadline) -> None:
    found = gallery.definition_id(target)
    definition = gallery.look_up(found, arm, deadline)
    gallery.refuse_unfit(source, definition)
    gallery.refuse_regions(target, definition)
    match target.versioning:
        case ExplicitVersion(version):
            wanted = version
        case SourceVersioning():
            wanted = source.exact_version
        case _:
            return
    wanted = str(parse(wanted) or wanted)
    taken = arm.at(found.subscription).find(
        f"looking up version {wanted} of {found.name}",
        deadline,
        lambda c, k: c.compute.gallery_image_versions.get(found.resource_group, *found.names, wanted, **k),
    )
    if taken is not None:
        raise DistributionError(
            f"version {wanted} of {found.name} exists already, and versions are never overwritten",
            hint="raise the number, or let the scheme `Latest` choose it",
            origin=target.origin,
        )


def _group(name: str, arm: Arm, deadline: Deadline) -> None:
    found = arm.find(
        f"looking up the resource group {name}", deadline, lambda c, k: c.resources.resource_groups.get(name, **k)
    )
    if found is None:
        raise DistributionError(
            f"there is no resource group {name} to write to", hint="create it: az group create -n NAME -l REGION"
        )
