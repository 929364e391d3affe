"""An image template to a plan: every step with its actions and its place in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from imagewright.core.actions import Action, Content, InstallUpdates, Reboot, Remote, Run, Upload
from imagewright.core.plan import (
    AzureSettings,
    MachineSpec,
    OnError,
    Optimization,
    Plan,
    Step,
    Validation,
)
from imagewright.core.secret import Mask
from imagewright.customizers import Customizer
from imagewright.template.context import ArmContext
from imagewright.template.located import Located
from imagewright.template.schema import ImageTemplate, Optimize

DEFAULT_MINUTES = 240


def compile_template(
    template: ImageTemplate, present: Located, path: str, directory: Path, context: ArmContext, mask: Mask
) -> Plan:
    """The plan of a template without unknowns that was read from `path`; local URIs are paths from `directory`."""
    properties = template.properties
    profile = properties.vm_profile
    validate = properties.validation
    return Plan(
        name=template.name or _name(path),
        origin=present.origin(),
        source=properties.source.source(),
        machine=MachineSpec(
            vm_size=profile.vm_size,
            os_disk_size_gb=profile.os_disk_size_gb,
            data_disk_sizes_gb=tuple(disk.size_gb for disk in properties.additional_data_disks),
            subnet_id=profile.vnet_config.subnet_id,
            identities=profile.user_assigned_identities,
            location=template.location,
        ),
        steps=_steps(properties.customize, present, "/properties/customize", directory),
        validation=Validation(
            _steps(validate.in_vm_validations, present, "/properties/validate/inVMValidations", directory),
            validate.source_validation_only,
            validate.continue_distribute_on_failure,
        ),
        optimization=_optimization(properties.optimize, present, directory),
        targets=tuple(
            one.target(present.origin(f"/properties/distribute/{index}"))
            for index, one in enumerate(properties.distribute)
        ),
        timeout=(properties.build_timeout_in_minutes or DEFAULT_MINUTES) * 60.0,
        on_customizer_error=OnError(properties.error_handling.on_customizer_error),
        on_validation_error=OnError(properties.error_handling.on_validation_error),
        azure=AzureSettings(
            subscription_id=context.subscription_id,
            resource_group=context.resource_group,
            staging_resource_group=properties.staging_resource_group,
            managed_resource_tags=tuple(properties.managed_resource_tags.items()),
        ),
        mask=mask,
    )


def is_local(uri: str) -> bool:
    """Whether a URI names a file of this machine: it has no scheme, or `file:`. AIB itself takes neither."""
    return uri.startswith("file://") or not re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://", uri)


def _steps(customizers: Sequence[Customizer], present: Located, pointer: str, directory: Path) -> tuple[Step, ...]:
    return tuple(
        Step(
            number,
            one.name or f"{one.type} {number}",
            one.type,
            tuple(_with_absolute_path(action, directory) for action in one.actions()),
            present.origin(f"{pointer}/{number - 1}"),
        )
        for number, one in enumerate(customizers, 1)
    )


def _optimization(optimize: Optimize, present: Located, directory: Path) -> Optimization:
    workload = optimize.workload
    if workload.state != "Enabled" or not workload.script_uri:
        return Optimization(optimize.vm_boot.state == "Enabled")
    script = _absolute(Remote(workload.script_uri, workload.sha256_checksum), directory)
    return Optimization(optimize.vm_boot.state == "Enabled", script, present.origin("/properties/optimize/workload"))


def _with_absolute_path(action: Action, directory: Path) -> Action:
    match action:
        case Run(script=script):
            return replace(action, script=_absolute(script, directory))
        case Upload(content=content):
            return replace(action, content=_absolute(content, directory))
        case Reboot() | InstallUpdates():
            return action


def _absolute(content: Content, directory: Path) -> Content:
    if not isinstance(content, Remote) or not is_local(content.uri):
        return content
    relative = unquote(urlsplit(content.uri).path) if content.uri.startswith("file://") else content.uri
    return replace(content, uri=str((directory / relative).absolute()))


def _name(path: str) -> str:
    """A template without a name is called like its file."""
    return re.sub(r"[^A-Za-z0-9\-_.]+", "-", PurePath(path).stem).strip("-.")[:64] or "image"
