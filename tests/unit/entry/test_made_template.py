from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imagewright.core.errors import OptionsError
from imagewright.core.plan import PlatformImage, SharedImageTarget, VhdTarget
from imagewright.entry.inputs import Inputs, Names, read
from imagewright.entry.made_template import Made, made_template, tags
from imagewright.template.facade import plans, validate_file

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
GALLERY = f"{GROUP}/providers/Microsoft.Compute/galleries/g/images/d"
BASE = {"subscription": SUBSCRIPTION, "resource-group": "rg", "location": "westeurope"}
DEBIAN = {"source-image": "Debian:debian-12:12-gen2:latest"}


def made(given: Mapping[str, str], *, task: bool = False) -> dict[str, Any]:
    base = {"subscription": SUBSCRIPTION, "resourceGroup": "rg", "location": "westeurope"} if task else BASE
    names = (lambda option: option.task_inputs or (option.name,)) if task else (lambda option: option.github_inputs)
    return json.loads(whole({**base, **given}, names).text)  # type: ignore[no-any-return]


def whole(
    given: Mapping[str, str], names: Names = lambda option: option.github_inputs, run: str = "17-1-job"
) -> Made:
    request = read(Inputs(given, names), {}, lambda name, text: name, unknown=())
    return made_template(request.pipeline, request.options, run)


def refusal(given: Mapping[str, str]) -> str:
    with pytest.raises(OptionsError) as caught:
        made(given)
    return caught.value.message


def test_the_readme_of_build_vm_image(tmp_path: Path) -> None:
    """Its first workflow, input by input; what comes out is a template like any other."""
    body = made(
        {
            "managed-identity": "identity",
            "source-os-type": "linux",
            "source-image-type": "platformImage",
            "source-image": "Canonical:UbuntuServer:18.04-LTS:latest",
            "dist-type": "SharedImageGallery",
            "dist-resource-id": f"{GALLERY}/versions/0.1.2",
            "dist-location": "eastus2, West US",
            "customizer-script": "echo one\necho two\n",
            "run-output-name": "mine",
        }
    )
    properties = body["properties"]
    assert properties["customize"] == [{"type": "Shell", "name": "inline-script", "inline": ["echo one", "echo two"]}]
    (target,) = properties["distribute"]
    assert target["runOutputName"] == "mine"
    assert target["targetRegions"] == [{"name": "eastus2"}, {"name": "westus"}]
    (identity,) = body["identity"]["userAssignedIdentities"]
    assert identity == f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity"
    file = tmp_path / "template.json"
    file.write_text(json.dumps(body))
    (plan,), _ = plans(str(file))
    assert plan.source == PlatformImage("Canonical", "UbuntuServer", "18.04-LTS", "latest")
    assert isinstance(plan.targets[0], SharedImageTarget)


def test_the_form_of_the_old_task() -> None:
    body = made(
        {
            "imageSource": "marketplace",
            "baseImage": "MicrosoftWindowsServer:WindowsServer:2019-Datacenter",
            "baseImagePubOfferSku": "Publisher:Offer:Sku",
            "baseImageVersion": "2019.1",
            "customImageResourceId": "left from another choice",
            "provisioner": "powershell",
            "windowsUpdateProvisioner": "true",
            "inlineScript": "& c:\\x.ps1",
            "distributeType": "sig",
            "galleryImageId": GALLERY,
            "replicationRegions": "eastus,westus",
            "managedImageLocation": "left too",
        },
        task=True,
    )
    properties = body["properties"]
    assert properties["source"]["sku"] == "2019-Datacenter"
    assert properties["source"]["version"] == "2019.1"
    assert [step["type"] for step in properties["customize"]] == ["PowerShell", "WindowsUpdate"]
    assert properties["customize"][1]["filters"] == ["exclude:$_.Title -like '*Preview*'", "include:$true"]
    assert properties["distribute"][0]["galleryImageId"] == GALLERY


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (f"{GROUP}/providers/Microsoft.Compute/images/base", "ManagedImage"),
        (f"{GALLERY}/versions/1.0.0", "SharedImageVersion"),
        ("Debian:debian-12:12-gen2", "PlatformImage"),
    ],
)
def test_the_form_of_a_source_tells_what_it_is(image: str, kind: str) -> None:
    assert made({"source-image": image})["properties"]["source"]["type"] == kind


def test_a_managed_image_has_a_name_of_this_run_by_default() -> None:
    (target,) = made(DEBIAN)["properties"]["distribute"]
    assert target == {
        "type": "ManagedImage",
        "runOutputName": "ManagedImage_distribute",
        "imageId": f"{GROUP}/providers/Microsoft.Compute/images/mi-17-1-job",
        "location": "westeurope",
    }


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "debian-12-12-gen2"),
        ({"dist-type": "sig", "dist-resource-id": f"{GALLERY}/versions/1.2.3"}, "d"),
        ({"dist-type": "sig", "dist-resource-id": "g/web"}, "web"),
        ({"dist-resource-id": f"{GROUP}/providers/Microsoft.Compute/images/web"}, "web"),
        ({"dist-resource-id": f"{GROUP}/providers/Microsoft.Compute/images/web", "template-name": "mine"}, "mine"),
    ],
)
def test_the_template_has_the_same_name_in_every_run(given: dict[str, str], name: str) -> None:
    """A staging resource group that is used again is marked with it."""
    names = {json.loads(whole({**BASE, **DEBIAN, **given}, run=run).text)["name"] for run in ("17-1-job", "18-1-job")}
    assert names == {name}


def test_what_both_old_tools_pass_over_is_said() -> None:
    given = {"dist-location": "westeurope,eastus", "customizer-windows-update": "true", "distributor-type": "VHD"}
    made = whole({**BASE, **DEBIAN, **given})
    assert made.notes == (
        "input `customizer-windows-update` is not used: the source image is not Windows",
        "input `dist-location` is not used: only a gallery has regions, others are in `location`",
    )
    assert json.loads(made.text)["properties"]["customize"] == []


def test_short_names_are_completed() -> None:
    body = made({**DEBIAN, "dist-type": "sharedImageGallery", "dist-resource-id": "g/d"})
    (target,) = body["properties"]["distribute"]
    assert target["galleryImageId"] == GALLERY
    assert target["targetRegions"] == [{"name": "westeurope"}]


def test_what_people_wanted_besides(tmp_path: Path) -> None:
    body = made(
        {
            **DEBIAN,
            "dist-type": "sig",
            "dist-resource-id": GALLERY,
            "target-regions": "westeurope=2, uksouth=1",
            "storage-account-type": "standard_zrs",
            "exclude-from-latest": "true",
            "versioning-scheme": "latest",
            "versioning-major": "2",
            "os-disk-size-gb": "64",
            "vnet-subnet-id": f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
            "validation-inline-script": "true",
            "optimize-vm-boot": "true",
            "managed-resource-tags": '{"team": "images"}',
            "purchase-plan": "p:q:r",
        }
    )
    file = tmp_path / "template.json"
    file.write_text(json.dumps(body))
    (plan,), _ = plans(str(file))
    (target,) = plan.targets
    assert isinstance(target, SharedImageTarget)
    assert [(each.name, each.replica_count) for each in target.regions] == [("westeurope", 2), ("uksouth", 1)]
    assert target.exclude_from_latest
    assert plan.machine.os_disk_size_gb == 64
    assert plan.optimization.vm_boot
    assert dict(plan.azure.managed_resource_tags) == {"team": "images"}


def test_a_vhd_needs_neither_group_nor_region(tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text(json.dumps(made({**DEBIAN, "dist-type": "vhd"})))
    (plan,), _ = plans(str(file))
    assert isinstance(plan.targets[0], VhdTarget)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "there is neither a template nor a source image"),
        ({"source-image": "a:b"}, "input `source-image`: `a:b` is not a marketplace image"),
        (
            {"source-image": "/subscriptions/x", "source-image-type": "ManagedImage"},
            "input `source-image`: `/subscriptions/x` is not the id of a Microsoft.Compute/images",
        ),
        ({**DEBIAN, "purchase-plan": "x"}, "input `purchase-plan`: `x` is not a purchase plan"),
        ({**DEBIAN, "dist-type": "sig"}, "a gallery image needs the id of its definition"),
        (
            {**DEBIAN, "provisioner": "shell", "source-os-type": "windows"},
            "input `provisioner` contradicts input `source-os-type`",
        ),
        (
            {**DEBIAN, "dist-type": "sig", "dist-resource-id": GALLERY, "dist-location": "mars"},
            "input `dist-location`: there is no Azure region `mars`",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(given: dict[str, str], message: str) -> None:
    assert refusal(given) == message


def test_tags() -> None:
    assert tags("a:b,c=d\ne:f:g", "x") == {"a": "b", "c": "d", "e": "f:g"}
    assert tags('{"a": 1}', "x") == {"a": "1"}
    for wrong in ("a", "{a}", ":b"):
        with pytest.raises(OptionsError):
            tags(wrong, "input `image-tags`")


def test_tags_of_a_json_object_are_texts() -> None:
    given = '{"temporary": true, "days": 7, "team": "web"}'
    assert tags(given, "t") == {"temporary": "true", "days": "7", "team": "web"}
    for value in ("null", "[1]", '{"x": 1}'):
        with pytest.raises(OptionsError, match="t: the tag `n` has no text"):
            tags(f'{{"n": {value}}}', "t")


def test_the_name_of_a_managed_image_may_have_80_characters(tmp_path: Path) -> None:
    for length, valid in ((80, True), (81, False)):
        file = tmp_path / "template.json"
        file.write_text(json.dumps(made({**DEBIAN, "dist-type": "ManagedImage", "dist-resource-id": "x" * length})))
        found = [each.message for each in validate_file(str(file)).diagnostics if each.code == "bad-resource-id"]
        assert found == [] if valid else "has 81 characters" in found[0]
