"""The models beside the published schemas: the same fields in every version, the same verdict on every slip."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft4Validator
from published_schemas import SCHEMAS, published, versions

from imagewright import customizers, distributors, sources
from imagewright.core.shape import Shape
from imagewright.distributors.shared_image import FromSource, Latest, Region
from imagewright.sources.platform_image import PurchasePlan
from imagewright.template import schema, validate_file
from imagewright.template.slots import fields

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not SCHEMAS.is_dir(), reason="needs ../shared/specs/imagebuilder"),
]

MODELS: dict[str, tuple[type[Shape], set[str]]] = {
    # definition -> (our model, fields that the schema puts into the common part of the union)
    "DataDisk": (schema.DataDisk, set()),
    "DistributeVersionerLatest": (Latest, set()),
    "DistributeVersionerSource": (FromSource, set()),
    "ImageTemplateAutoRun": (schema.AutoRun, set()),
    "ImageTemplateFileCustomizer": (customizers.File, {"name"}),
    "ImageTemplateFileValidator": (customizers.File, {"name"}),
    "ImageTemplateIdentity": (schema.Identity, set()),
    "ImageTemplateManagedImageDistributor": (distributors.ManagedImage, {"artifactTags", "runOutputName"}),
    "ImageTemplateManagedImageSource": (sources.ManagedImage, set()),
    "ImageTemplatePlatformImageSource": (sources.PlatformImage, set()),
    "ImageTemplatePowerShellCustomizer": (customizers.PowerShell, {"name"}),
    "ImageTemplatePowerShellValidator": (customizers.PowerShell, {"name"}),
    "ImageTemplateProperties": (schema.Properties, set()),
    "ImageTemplatePropertiesErrorHandling": (schema.ErrorHandling, set()),
    "ImageTemplatePropertiesOptimize": (schema.Optimize, set()),
    "ImageTemplatePropertiesOptimizeVmBoot": (schema.VmBoot, set()),
    "ImageTemplatePropertiesOptimizeWorkload": (schema.Workload, set()),
    "ImageTemplatePropertiesValidate": (schema.Validate, set()),
    "ImageTemplateRestartCustomizer": (customizers.WindowsRestart, {"name"}),
    "ImageTemplateSharedImageDistributor": (distributors.SharedImage, {"artifactTags", "runOutputName"}),
    "ImageTemplateSharedImageVersionSource": (sources.SharedImageVersion, set()),
    "ImageTemplateShellCustomizer": (customizers.Shell, {"name"}),
    "ImageTemplateShellValidator": (customizers.Shell, {"name"}),
    "ImageTemplateVhdDistributor": (distributors.Vhd, {"artifactTags", "runOutputName"}),
    "ImageTemplateVmProfile": (schema.VmProfile, set()),
    "ImageTemplateWindowsUpdateCustomizer": (customizers.WindowsUpdate, {"name"}),
    "PlatformImagePurchasePlan": (PurchasePlan, set()),
    "TargetRegion": (Region, set()),
    "VirtualNetworkConfig": (schema.VirtualNetwork, set()),
}

# Maps, unions and triggers: nothing with fields of its own that a template can set.
NO_MODEL = ("ArtifactTags", "ResourceTags", "Identities", "UserAssignedIdentity", "DistributeVersioner", "Customizer")
NO_MODEL += ("Distributor", "InVMValidator", "Source", "Trigger", "trigger", "expression", "Additionalproperties")


@pytest.mark.parametrize("version", versions())
def test_every_version_has_the_fields_that_the_models_say(version: str) -> None:
    for name, definition in published(version)["definitions"].items():
        if name not in MODELS:
            assert any(part in name for part in NO_MODEL), f"{name} has no model"
            continue
        model, common = MODELS[name]
        expected = {field for field, slot in fields(model).items() if not slot.since or slot.since <= version}
        assert set(definition["properties"]) | common == expected, name


# --- every slip in a full template ---

ID = "/subscriptions/s/resourceGroups/g/providers"
FULL: dict[str, Any] = {
    "type": "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2025-10-01",
    "name": "full",
    "location": "westeurope",
    "tags": {"a": "b"},
    "identity": {
        "type": "UserAssigned",
        "userAssignedIdentities": {f"{ID}/Microsoft.ManagedIdentity/userAssignedIdentities/i": {}},
    },
    "properties": {
        "source": {
            "type": "PlatformImage", "publisher": "p", "offer": "o", "sku": "s", "version": "latest",
            "planInfo": {"planName": "a", "planProduct": "b", "planPublisher": "c"},
        },
        "customize": [
            {"type": "Shell", "name": "n", "inline": ["a"]},
            {"type": "Shell", "scriptUri": "https://e/x.sh", "sha256Checksum": "0" * 64},
            {
                "type": "PowerShell", "inline": ["a"],
                "runElevated": True, "runAsSystem": True, "validExitCodes": [3010],
            },
            {"type": "WindowsRestart", "restartCommand": "a", "restartCheckCommand": "b", "restartTimeout": "5m"},
            {"type": "WindowsUpdate", "searchCriteria": "a", "filters": ["include:$true"], "updateLimit": 5},
            {"type": "File", "sourceUri": "https://e/f", "destination": "/tmp/f", "sha256Checksum": "0" * 64},
        ],
        "optimize": {
            "vmBoot": {"state": "Enabled"},
            "workload": {"state": "Enabled", "scriptUri": "https://e/w", "sha256Checksum": "0" * 64},
        },
        "validate": {
            "continueDistributeOnFailure": True,
            "sourceValidationOnly": False,
            "inVMValidations": [{"type": "Shell", "inline": ["true"]}],
        },
        "distribute": [
            {"type": "VHD", "runOutputName": "a", "artifactTags": {"a": "b"}, "uri": "https://a.example/c/v.vhd"},
            {
                "type": "ManagedImage", "runOutputName": "b",
                "imageId": f"{ID}/Microsoft.Compute/images/i", "location": "l",
            },
            {
                "type": "SharedImage", "runOutputName": "c", "excludeFromLatest": True, "replicationMode": "Full",
                "galleryImageId": f"{ID}/Microsoft.Compute/galleries/g/images/d",
                "versioning": {"scheme": "Latest", "major": 1},
                "targetRegions": [{"name": "a", "replicaCount": 2, "storageAccountType": "Standard_ZRS"}],
            },
            {
                "type": "SharedImage", "runOutputName": "d", "versioning": {"scheme": "Source"},
                "galleryImageId": f"{ID}/Microsoft.Compute/galleries/g/images/d",
                "replicationRegions": ["a"], "storageAccountType": "Premium_LRS",
            },
        ],
        "errorHandling": {"onCustomizerError": "cleanup", "onValidationError": "abort"},
        "buildTimeoutInMinutes": 60,
        "vmProfile": {
            "vmSize": "Standard_D2s_v5", "osDiskSizeGB": 40,
            "userAssignedIdentities": [f"{ID}/Microsoft.ManagedIdentity/userAssignedIdentities/i"],
            "vnetConfig": {
                "subnetId": f"{ID}/Microsoft.Network/virtualNetworks/v/subnets/a",
                "containerInstanceSubnetId": f"{ID}/Microsoft.Network/virtualNetworks/v/subnets/b",
            },
        },
        "additionalDataDisks": [{"sizeGB": 4}],
        "stagingResourceGroup": "/subscriptions/s/resourceGroups/staging",
        "autoRun": {"state": "Disabled"},
        "managedResourceTags": {"a": "b"},
    },
}  # fmt: skip

# (what was done, the pointer's end): why we say more, or less, than the schema.
WE_REFUSE = {
    "drop inline": "one of inline and scriptUri is needed; the schema says so in its description only",
    "drop scriptUri": "the same",
    "drop publisher": "no build works without it, though the schema calls it optional",
    "drop offer": "the same",
    "drop sku": "the same",
    "drop version": "the same",
    "drop sourceUri": "File without a source or a destination does nothing",
    "drop destination": "the same",
    "drop runElevated": "runAsSystem needs it; the schema says so in its description only",
    "drop subnetId": "containerInstanceSubnetId needs it; the schema says so in its description only",
    "text userAssignedIdentities": "the shape of resource ids is not in the schema",
    "text imageId": "the shape of resource ids is not in the schema",
    "text galleryImageId": "the same",
    "text subnetId": "the same",
    "text containerInstanceSubnetId": "the same",
    "text stagingResourceGroup": "the same",
    "text sha256Checksum": "a SHA-256 has 64 hex digits, which is not in the schema",
    "text restartTimeout": "the form of durations is not in the schema",
    "text destination": "a path must be absolute, which is not in the schema",
    "text uri": "the URI of a blob has a container and a name, which is not in the schema",
}
WE_ACCEPT = {
    "drop identity": "Imagewright needs none; it is a warning",
}


def slips() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every single change to FULL: (kind and field, pointer, changed template)."""

    def visit(node: Any, steps: list[Any]) -> Iterator[list[Any]]:
        if steps:
            yield steps
        for key, value in (
            node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        ):
            yield from visit(value, [*steps, key])

    for steps in visit(FULL, []):
        pointer = "/" + "/".join(map(str, steps))
        for kind, value in (
            ("number", 7),
            ("text", "x"),
            ("flag", True),
            ("list", []),
            ("object", {}),
            ("negative", -7),
        ):
            changed = copy.deepcopy(FULL)
            holder = holder_of(changed, steps)
            if type(value) is type(holder[steps[-1]]) and kind not in {"text", "negative"}:
                continue
            holder[steps[-1]] = value
            yield kind, pointer, changed
        if isinstance(holder_of(FULL, steps), dict):
            changed = copy.deepcopy(FULL)
            del holder_of(changed, steps)[steps[-1]]
            yield "drop", pointer, changed


def holder_of(root: Any, steps: list[Any]) -> Any:
    for step in steps[:-1]:
        root = root[step]
    return root


def test_the_full_template_is_accepted_by_both() -> None:
    assert not list(verdict_of_schema().iter_errors(FULL))
    assert judge(FULL)


def verdict_of_schema() -> Draft4Validator:
    return Draft4Validator({**published("2025-10-01"), "allOf": [{"$ref": "#/resourceDefinitions/imageTemplates"}]})


def judge(template: dict[str, Any]) -> bool:
    return validate_file("t.json", text=json.dumps({"resources": [template]}).encode()).valid


def test_every_slip_gets_the_same_verdict() -> None:
    validator = verdict_of_schema()
    unexplained = []
    used = set()
    count = 0
    for kind, pointer, template in slips():
        count += 1
        ours, theirs = judge(template), validator.is_valid(template)
        key = f"{kind} {re.sub(r'/[0-9]+$', '', pointer).rpartition('/')[2]}"
        if ours != theirs:
            used.add(key)
            if key not in (WE_ACCEPT if ours else WE_REFUSE):
                unexplained.append(f"{kind} {pointer}: ours {ours}, schema {theirs}")

    assert count > 300
    assert unexplained == []
    assert not {*WE_ACCEPT, *WE_REFUSE} - used, "an explanation without a disagreement"
