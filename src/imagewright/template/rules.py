"""What a template must keep to beyond the shape of its single objects, as far as it can be told without Azure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from imagewright.core.address import shown
from imagewright.core.plan import OsType
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.unknown import Unknown
from imagewright.customizers import Customizer, File, Shell
from imagewright.customizers.script import Script
from imagewright.template.compile import is_local
from imagewright.template.context import ArmContext
from imagewright.template.located import Located
from imagewright.template.report import Report
from imagewright.template.resource_types import IMAGE_TEMPLATE, SHORT_TYPE, is_image_template
from imagewright.template.schema import VERSIONS, ImageTemplate, Properties

_SCHEMES = ("http://", "https://")


def check(template: ImageTemplate, present: Located, is_body: bool, context: ArmContext, report: Report) -> None:
    """Report every broken rule. The template may hold unknown values; they break none.

    A bare body (`is_body`) may leave out what the command line gives; a resource in a deployment may not.
    """
    _envelope(template, present, is_body, report)
    properties = template.properties
    if isinstance(properties, Unknown):
        return
    _identity(template, present, report)
    for steps, pointer in _step_lists(properties):
        _operating_system(properties, steps, pointer, present, report)
        for index, step in enumerate(steps):
            _artifact(step, f"{pointer}/{index}", present, report)
    _workload(properties, present, report)
    _run_outputs(properties, present, report)
    _staging(properties, present, context, report)


def _envelope(template: ImageTemplate, present: Located, is_body: bool, report: Report) -> None:
    given = {"name": template.name, "apiVersion": template.api_version, "location": template.location}
    for field, value in () if is_body else given.items():
        if f"/{field}" not in present.places:
            report.error("missing-field", f"'{field}' is missing", present.origin(), f"add '{field}'")
        elif value == "":
            report.error("empty-value", f"'{field}' is empty", present.origin(f"/{field}"), "write a value")
    version = template.api_version
    if isinstance(version, str) and version and version not in VERSIONS:
        add = report.warning if re.fullmatch(r"20\d\d-\d\d-\d\d(-preview)?", version) else report.error
        known = f"known are {', '.join(VERSIONS)}"
        add("unknown-api-version", f"the api-version '{version}' is not known", present.origin("/apiVersion"), known)
    if isinstance(template.type, str) and template.type.lower() == SHORT_TYPE.lower():
        report.warning("short-type", f"the type should be {IMAGE_TEMPLATE}", present.origin("/type"),
                       f"write {IMAGE_TEMPLATE}")  # fmt: skip
    elif not is_image_template(template.type) and not isinstance(template.type, Unknown):
        report.error("unknown-type", f"'{template.type}' is not an image template", present.origin("/type"),
                     f"write {IMAGE_TEMPLATE}")  # fmt: skip


def _identity(template: ImageTemplate, present: Located, report: Report) -> None:
    identity, version = template.identity, template.api_version
    if isinstance(identity, Unknown) or (isinstance(version, str) and "" < version < "2020-02-14"):
        return
    if any(place.startswith("/identity/userAssignedIdentities/") for place in present.places):
        return
    if identity is None or identity.type == "None" or not identity.user_assigned_identities:
        pointer = "" if identity is None else "/identity"
        report.warning(
            "no-identity",
            "the template has no user assigned identity",
            present.origin(pointer, key=True),
            "Imagewright needs none; the Azure service refuses such a template",
        )


def _step_lists(properties: Properties) -> list[tuple[Sequence[Customizer], str]]:
    lists: list[tuple[Sequence[Customizer], str]] = []
    if not isinstance(properties.customize, Unknown):
        lists.append((properties.customize, "/properties/customize"))
    validate = properties.validation
    if not isinstance(validate, Unknown) and not isinstance(validate.in_vm_validations, Unknown):
        lists.append((validate.in_vm_validations, "/properties/validate/inVMValidations"))
    return lists


def _operating_system(
    properties: Properties, steps: Sequence[Customizer], pointer: str, present: Located, report: Report
) -> None:
    source = properties.source
    system = None if isinstance(source, Unknown) else source.os_type()
    said, add = f"the source image is {system}", report.error
    for index, step in enumerate(steps):
        if isinstance(step, Unknown | File):
            continue
        needs = OsType.LINUX if isinstance(step, Shell) else OsType.WINDOWS
        if system is None:  # then the first step tells
            system, said, add = needs, f"{step.type} before it on {needs}", report.warning
        elif needs is not system:
            other = "Shell" if system is OsType.LINUX else "PowerShell"
            add(
                "wrong-os",
                f"{step.type} works on {needs}, {said}",
                present.origin(f"{pointer}/{index}/type"),
                f"use {other}, or another source",
            )


def _artifact(step: Customizer, pointer: str, present: Located, report: Report) -> None:
    if isinstance(step, Script):
        _uri(step.script_uri, f"{pointer}/scriptUri", present, report)
        if step.sha256_checksum and f"{pointer}/scriptUri" not in present.places:
            report.warning(
                "checksum-without-uri",
                "'sha256Checksum' is about 'scriptUri', which is not there",
                present.origin(f"{pointer}/sha256Checksum", key=True),
                "take it away",
            )
    elif isinstance(step, File):
        _uri(step.source_uri, f"{pointer}/sourceUri", present, report)
        path = step.destination
        if isinstance(path, str) and path.startswith("/") and not path.startswith("/tmp/"):
            report.warning(
                "destination-not-writable",
                f"File writes with the rights of the build user, which has none for {path}",
                present.origin(f"{pointer}/destination"),
                "write to /tmp and move the file with a Shell step (`sudo mv`)",
            )


def _uri(uri: object, pointer: str, present: Located, report: Report) -> None:
    if not isinstance(uri, str) or not uri:
        return
    origin = present.origin(pointer)
    if reason := _defect(uri):
        hint = "an https address, with %20 for a space, or the path of a local file"
        report.error("bad-uri", f"'{shown(uri)}' cannot be fetched: {reason}", origin, hint)
    elif is_local(uri):
        hint = "upload it and give its https address before you use the Azure service"
        report.warning(
            "local-path", f"'{uri}' is a file on this machine: the Azure service would refuse it", origin, hint
        )


def _defect(uri: str) -> str:
    """Why nobody could read what is at `uri`, or `""`."""
    if "\0" in uri:
        return "it holds a NUL"
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return "its host or its port is not right"
    if is_local(uri):
        return "after the colon there must be two slashes" if re.match(r"https?:", uri, re.IGNORECASE) else ""
    if not uri.lower().startswith(_SCHEMES):
        return f"{parts.scheme} is not read"
    if not parts.hostname or port == 0:
        return "it names no host"
    return "there is a space or a control character in it" if re.search(r"[\x00-\x20\x7f]", uri) else ""


def _workload(properties: Properties, present: Located, report: Report) -> None:
    optimize = properties.optimize
    if not isinstance(optimize, Unknown) and not isinstance(optimize.workload, Unknown):
        _uri(optimize.workload.script_uri, "/properties/optimize/workload/scriptUri", present, report)


def _run_outputs(properties: Properties, present: Located, report: Report) -> None:
    if isinstance(properties.distribute, Unknown):
        return
    if not properties.distribute:
        report.warning(
            "nothing-distributed",
            "'distribute' is empty: the image would go nowhere",
            present.origin("/properties/distribute"),
            'for example [{"type": "VHD", "runOutputName": "vhd"}]',
        )
    first: dict[str, int] = {}
    for index, target in enumerate(properties.distribute):
        if isinstance(target, Unknown) or isinstance(target.run_output_name, Unknown):
            continue
        name = target.run_output_name
        if (earlier := first.setdefault(name.lower(), index)) != index:
            line = present.origin(f"/properties/distribute/{earlier}/runOutputName").line
            report.error(
                "duplicate-run-output",
                f"the run output '{name}' is there already, in line {line}",
                present.origin(f"/properties/distribute/{index}/runOutputName"),
                "give every target a name of its own",
            )


def _staging(properties: Properties, present: Located, context: ArmContext, report: Report) -> None:
    group = properties.staging_resource_group
    found = parse_resource_id(group) if isinstance(group, str) else None
    if found and context.subscription_id and found.subscription.lower() != context.subscription_id.lower():
        report.error(
            "other-subscription",
            f"the staging resource group is in subscription {found.subscription}, the template is not",
            present.origin("/properties/stagingResourceGroup"),
            f"use a group of subscription {context.subscription_id}",
        )
