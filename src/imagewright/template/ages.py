"""What an older api-version does not take, and what a newer one would like to be rid of, beyond single fields."""

from __future__ import annotations

from imagewright.core.unknown import Unknown
from imagewright.customizers import File, WindowsUpdate
from imagewright.distributors import SharedImage
from imagewright.sources import SharedImageVersion
from imagewright.template.located import Located
from imagewright.template.report import Report
from imagewright.template.schema import ImageTemplate, Properties

_REGIONS = "2022-07-01"
"""Brought `targetRegions`, Premium_LRS, `latest` and File validators; `replicationRegions` are deprecated since."""

_FIRST = "2020-02-14"


def check_age(template: ImageTemplate, present: Located, report: Report) -> None:
    """Report what does not fit to the api-version of `template`; one that is not known fits to everything."""
    version, properties = template.api_version, template.properties
    if isinstance(version, Unknown) or isinstance(properties, Unknown):
        return
    if not version or version >= _REGIONS:
        _deprecated(properties, present, report)
        return
    _regions(properties, present, version, report)
    _newer_types(properties, present, version, report)
    source = properties.source
    if isinstance(source, SharedImageVersion) and str(source.image_version_id).lower().endswith("/latest"):
        place = present.origin("/properties/source/imageVersionId")
        report.error(*_newer("'latest' of a gallery image", _REGIONS, version), place, _raise_to(_REGIONS))


def _regions(properties: Properties, present: Located, version: str, report: Report) -> None:
    for index, target in enumerate(() if isinstance(properties.distribute, Unknown) else properties.distribute):
        if not isinstance(target, SharedImage):
            continue
        pointer = f"/properties/distribute/{index}"
        if not isinstance(target.replication_regions, Unknown) and not target.replication_regions:
            message = f"'replicationRegions' is missing, which api-version {version} requires"
            report.error(
                "missing-field",
                message,
                present.origin(pointer),
                f"add 'replicationRegions', or {_raise_to(_REGIONS)}",
            )
        if target.storage_account_type == "Premium_LRS":
            report.error(
                *_newer("Premium_LRS", _REGIONS, version),
                present.origin(f"{pointer}/storageAccountType"),
                _raise_to(_REGIONS),
            )


def _newer_types(properties: Properties, present: Located, version: str, report: Report) -> None:
    validate = properties.validation
    if not isinstance(validate, Unknown) and not isinstance(validate.in_vm_validations, Unknown):
        for index, validator in enumerate(validate.in_vm_validations):
            if isinstance(validator, File):
                place = present.origin(f"/properties/validate/inVMValidations/{index}/type")
                report.error(*_newer("the validator File", _REGIONS, version), place, _raise_to(_REGIONS))
    if version < _FIRST and not isinstance(properties.customize, Unknown):
        for index, step in enumerate(properties.customize):
            if isinstance(step, WindowsUpdate):
                place = present.origin(f"/properties/customize/{index}/type")
                report.warning(*_newer("WindowsUpdate", _FIRST, version), place, _raise_to(_FIRST))


def _deprecated(properties: Properties, present: Located, report: Report) -> None:
    for index, target in enumerate(() if isinstance(properties.distribute, Unknown) else properties.distribute):
        pointer = f"/properties/distribute/{index}/replicationRegions"
        if isinstance(target, SharedImage) and pointer in present.places:
            message = f"'replicationRegions' is deprecated since {_REGIONS}"
            report.warning(
                "deprecated-field",
                message,
                present.origin(pointer, key=True),
                "write 'targetRegions': [{'name': ...}], each with its own 'storageAccountType'",
            )


def _newer(what: str, since: str, version: str) -> tuple[str, str]:
    return "newer-value", f"{what} came with api-version {since}, this template says {version}"


def _raise_to(version: str) -> str:
    return f"set apiVersion to {version} or later"
