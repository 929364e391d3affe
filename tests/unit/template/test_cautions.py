"""What older api-versions do not take, and what is allowed and surprises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagewright.core.errors import Diagnostic
from imagewright.template import ArmContext, validate_file

COMPUTE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
GALLERY = f"{COMPUTE}/galleries/g/images/d"
SOURCE = {"type": "PlatformImage", "publisher": "Canonical", "offer": "x", "sku": "y", "version": "latest"}
WINDOWS = {**SOURCE, "publisher": "MicrosoftWindowsServer", "offer": "WindowsServer"}


def found(version: str = "", identity: Any = None, **properties: Any) -> list[Diagnostic]:
    body = {
        "apiVersion": version,
        "identity": identity or {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {"source": SOURCE, "distribute": [{"type": "VHD", "runOutputName": "v"}], **properties},
    }
    return list(validate_file("t.json", text=json.dumps(body).encode(), context=ArmContext("s")).diagnostics)


def shared(**fields: Any) -> dict[str, Any]:
    return {"distribute": [{"type": "SharedImage", "runOutputName": "r", "galleryImageId": GALLERY, **fields}]}


FILE = {"type": "File", "sourceUri": "https://e/x", "destination": "/tmp/x"}
LATEST = {"type": "SharedImageVersion", "imageVersionId": f"{GALLERY}/versions/latest"}


@pytest.mark.parametrize(
    ("version", "properties", "severity", "code", "pointer"),
    [
        ("2020-02-14", shared(), "error", "missing-field", "/properties/distribute/0"),
        ("2022-02-14", shared(replicationRegions=[]), "error", "missing-field", "/properties/distribute/0"),
        ("2021-10-01", shared(replicationRegions=["a"], storageAccountType="Premium_LRS"), "error", "newer-value",
         "/properties/distribute/0/storageAccountType"),
        ("2021-10-01", {"source": LATEST}, "error", "newer-value", "/properties/source/imageVersionId"),
        ("2022-02-14", {"validate": {"inVMValidations": [FILE]}}, "error", "newer-value",
         "/properties/validate/inVMValidations/0/type"),
        ("2019-05-01-preview", {"source": WINDOWS, "customize": [{"type": "WindowsUpdate"}]}, "warning",
         "newer-value", "/properties/customize/0/type"),
        ("2022-07-01", shared(replicationRegions=["a"]), "warning", "deprecated-field",
         "/properties/distribute/0/replicationRegions"),
        ("", shared(storageAccountType="Standard_LRS"), "warning", "unused-storage-account-type",
         "/properties/distribute/0/storageAccountType"),
        ("", {"customize": [{**FILE, "destination": "C:\\x\\y"}]}, "warning", "other-path",
         "/properties/customize/0/destination"),
        ("", {"source": WINDOWS, "customize": [FILE]}, "warning", "other-path",
         "/properties/customize/0/destination"),
        ("", {"source": WINDOWS, "customize": [{"type": "WindowsUpdate", "filters": ["exclude:$true", "bogus"]}]},
         "warning", "bad-filter", "/properties/customize/0/filters/1"),
        ("", {"autoRun": {"state": "Enabled"}}, "warning", "ignored", "/properties/autoRun"),
        ("", {"optimize": {"workload": {"state": "Enabled"}}}, "warning", "workload-without-script",
         "/properties/optimize/workload"),
        ("", {"source": {"type": "ManagedImage", "imageId": f"{COMPUTE}/images/i".replace("/s/", "/other/")}},
         "warning", "other-subscription", "/properties/source/imageId"),
        ("", shared(galleryImageId=f"{GALLERY}/versions/99999999999.0.0"), "error", "bad-image-version",
         "/properties/distribute/0/galleryImageId"),
        # values that are empty
        ("", {"source": {**SOURCE, "sku": ""}}, "error", "empty-value", "/properties/source/sku"),
        ("", {"customize": [{**FILE, "sourceUri": ""}]}, "error", "empty-value", "/properties/customize/0/sourceUri"),
        ("", shared(targetRegions=[{"name": ""}]), "error", "empty-value",
         "/properties/distribute/0/targetRegions/0/name"),
        # addresses
        *(
            ("", {"customize": [{"type": "Shell", "scriptUri": uri}]}, "error", "bad-uri",
             "/properties/customize/0/scriptUri")
            for uri in ("http://", "https:/x", "file://[x", "https://exa mple/x y", "http://[::1/x", "a\0b", "http://h:x/")
        ),
    ],
)  # fmt: skip
def test_a_finding(version: str, properties: dict[str, Any], severity: str, code: str, pointer: str) -> None:
    (one,) = found(version, **properties)

    assert (one.severity, one.code, one.origin.pointer) == (severity, code, pointer)
    assert one.hint


def test_identities_that_are_not_used() -> None:
    codes = [one.code for one in found(identity={"type": "None", "userAssignedIdentities": {IDENTITY: {}}})]

    assert "unused-identity" in codes


@pytest.mark.parametrize(
    ("version", "properties"),
    [
        ("2020-02-14", shared(replicationRegions=["a"], storageAccountType="Standard_ZRS")),
        ("2022-07-01", {"source": LATEST, "validate": {"inVMValidations": [FILE]}}),
        ("", shared(targetRegions=[{"name": "westeurope", "storageAccountType": "Premium_LRS"}])),
        ("", {"source": WINDOWS, "customize": [{**FILE, "destination": "C:\\x"}]}),
    ],
)
def test_nothing_to_say(version: str, properties: dict[str, Any]) -> None:
    assert found(version, **properties) == []
