"""What a template may say and hardly means, or what nobody here does: warnings, one each."""

from __future__ import annotations

import re

from imagewright.core.plan import OsType
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.unknown import Unknown
from imagewright.customizers import Customizer, File, WindowsUpdate
from imagewright.distributors import SharedImage
from imagewright.sources import ManagedImage
from imagewright.template.context import ArmContext
from imagewright.template.located import Located
from imagewright.template.report import Report
from imagewright.template.schema import Identity, ImageTemplate, Properties, Workload


def caution(template: ImageTemplate, present: Located, context: ArmContext, report: Report) -> None:
    """Warn of everything in `template` that is allowed and will surprise."""
    identity, properties = template.identity, template.properties
    if isinstance(identity, Identity) and identity.type == "None" and identity.user_assigned_identities:
        report.warning(
            "unused-identity",
            "the type of the identity is None, and identities are given",
            present.origin("/identity/type"),
            "write UserAssigned, or take them away",
        )
    if isinstance(properties, Unknown):
        return
    _source(properties, present, context, report)
    _unused(properties, present, report)
    if not isinstance(properties.customize, Unknown):
        system = None if isinstance(properties.source, Unknown) else properties.source.os_type()
        for index, step in enumerate(properties.customize):
            _step(step, f"/properties/customize/{index}", system, present, report)


def _source(properties: Properties, present: Located, context: ArmContext, report: Report) -> None:
    source = properties.source
    if not isinstance(source, ManagedImage) or not isinstance(source.image_id, str):
        return
    found = parse_resource_id(source.image_id)
    if found and context.subscription_id and found.subscription.lower() != context.subscription_id.lower():
        report.warning(
            "other-subscription",
            "the source image is in another subscription than the template",
            present.origin("/properties/source/imageId"),
            "the Azure service takes managed images of its own subscription and region only",
        )


def _unused(properties: Properties, present: Located, report: Report) -> None:
    run = properties.auto_run
    if not isinstance(run, Unknown) and run.state == "Enabled":
        report.warning(
            "ignored",
            "'autoRun' is what the Azure service does with a template; nothing here does it",
            present.origin("/properties/autoRun", key=True),
            "take it away, or start builds yourself",
        )
    optimize = properties.optimize
    workload = None if isinstance(optimize, Unknown) else optimize.workload
    if isinstance(workload, Workload) and workload.state == "Enabled" and workload.script_uri == "":
        report.warning(
            "workload-without-script",
            "'workload' is enabled and has no script",
            present.origin("/properties/optimize/workload"),
            "add 'scriptUri'",
        )
    for index, target in enumerate(() if isinstance(properties.distribute, Unknown) else properties.distribute):
        pointer = f"/properties/distribute/{index}/storageAccountType"
        alone = isinstance(target, SharedImage) and not target.replication_regions and not target.target_regions
        if alone and pointer in present.places:
            report.warning(
                "unused-storage-account-type",
                "'storageAccountType' is about 'replicationRegions'",
                present.origin(pointer, key=True),
                "give each entry of 'targetRegions' its own",
            )


def _step(step: Customizer, pointer: str, system: OsType | None, present: Located, report: Report) -> None:
    if isinstance(step, File) and isinstance(step.destination, str) and system is not None:
        needs = OsType.LINUX if step.destination.startswith("/") else OsType.WINDOWS
        if needs is not system:
            example = "/tmp/app.conf" if system is OsType.LINUX else "C:\\app\\app.conf"
            report.warning(
                "other-path",
                f"this is a path of {needs}, the source image is {system}",
                present.origin(f"{pointer}/destination"),
                f"for example {example}",
            )
    if isinstance(step, WindowsUpdate) and not isinstance(step.filters, Unknown):
        for index, text in enumerate(step.filters):
            if isinstance(text, str) and not re.match(r"(include|exclude):\s*\S", text):
                report.warning(
                    "bad-filter",
                    f"'{text}' is no filter of Windows updates",
                    present.origin(f"{pointer}/filters/{index}"),
                    "for example exclude:$_.Title -like '*Preview*', or include:$true",
                )
