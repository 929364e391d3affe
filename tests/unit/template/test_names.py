"""Old names, wrong case, misspellings: understood before 2024-02-01, refused from then on, and always explained."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagewright.template import validate_file

SOURCE = {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12", "version": "latest"}
VHD = {"type": "VHD", "runOutputName": "vhd"}


def check(version: str, **properties: Any) -> tuple[bool, list[tuple[str, str]]]:
    body = {"location": "x", "properties": {"source": SOURCE, "distribute": [VHD], **properties}}
    if version:
        body["apiVersion"] = version
    checked = validate_file("t.json", text=json.dumps(body).encode())
    return checked.valid, [(one.code, one.hint) for one in checked.diagnostics if one.code != "no-identity"]


SLIPS: list[tuple[dict[str, Any], str, str]] = [
    ({"customize": [{"type": "Shell", "script": "https://e/x"}]}, "renamed-field", "write 'scriptUri'"),
    ({"customize": [{"type": "shell", "inline": ["a"]}]}, "wrong-case", "write Shell"),
    ({"distribute": [VHD | {"aritfactTags": {"a": "b"}}]}, "renamed-field", "write 'artifactTags'"),
    ({"distribute": [VHD | {"tags": {"a": "b"}}]}, "renamed-field", "write 'artifactTags'"),
    (
        {"customize": [{"type": "File", "sourceURI": "https://e/x", "destination": "/tmp/x"}]},
        "wrong-case",
        "write 'sourceUri'",
    ),
    ({"vmProfile": {"osDiskSizeGb": 30}}, "wrong-case", "write 'osDiskSizeGB'"),
    ({"buildTimeoutInMinute": 60}, "unknown-field", "did you mean 'buildTimeoutInMinutes'?"),
]


@pytest.mark.parametrize(("properties", "code", "hint"), SLIPS)
@pytest.mark.parametrize(
    ("version", "valid"), [("2022-07-01", True), ("2024-02-01", False), ("2025-10-01", False), ("", False)]
)
def test_slips(version: str, valid: bool, properties: dict[str, Any], code: str, hint: str) -> None:
    assert check(version, **properties) == (valid, [(code, hint)])


def test_a_field_newer_than_the_template_says() -> None:
    assert check("2022-02-14", errorHandling={})[1][0][0] == "newer-field"
    assert check("2022-02-14", errorHandling={})[0]
    assert check("2024-02-01", additionalDataDisks=[{"sizeGB": 4}])[0] is False
    assert check("2025-10-01", additionalDataDisks=[{"sizeGB": 4}]) == (True, [])


def test_a_field_that_is_given_twice() -> None:
    assert ("duplicate-field", "keep one") in check("2022-07-01", customize=[], Customize=[])[1]


@pytest.mark.parametrize("version", ["2019-05-01-preview", "2025-10-01"])
def test_iso_is_refused_by_name(version: str) -> None:
    valid, found = check(version, source={"type": "ISO", "sourceURI": "https://e/x.iso", "sha256Checksum": "0"})

    assert not valid
    assert found == [
        ("removed-type", "ISO sources were removed in api-version 2020-02-14; start from a PlatformImage instead")
    ]


def test_what_the_service_adds_is_tolerated() -> None:
    extra = {
        "provisioningState": "Succeeded",
        "lastRunStatus": {"runState": "Succeeded"},
        "exactStagingResourceGroup": "x",
    }

    assert check("2025-10-01", source=SOURCE | {"exactVersion": "1.2.3"}, **extra) == (True, [])


def test_null_is_as_good_as_absent() -> None:
    assert check("2025-10-01", customize=None, optimize=None) == (True, [])


def test_angle_brackets_in_commands_are_no_placeholders() -> None:
    steps = [{"type": "Shell", "name": "<b>", "inline": ["cat <<EOF >/tmp/x", "<html>", "EOF"]}]

    assert check("", customize=steps) == (True, [])
    assert check("", customize=[{"type": "Shell", "scriptUri": "https://e/<file>"}])[1][0][0] == "placeholder"


def test_angle_brackets_within_a_tag_are_no_placeholder() -> None:
    target = {"type": "VHD", "runOutputName": "v"}
    tags = {"owner": "Jane <jane@example.com>"}

    assert check("", distribute=[target | {"artifactTags": tags}]) == (True, [])
    assert check("", distribute=[target | {"artifactTags": {"owner": "<owner>"}}])[1][0][0] == "placeholder"


def test_where_the_source_does_not_say_its_system_the_first_step_does() -> None:
    image = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"
    shell, power_shell = {"type": "Shell", "inline": ["a"]}, {"type": "PowerShell", "inline": ["b"]}
    source = {"type": "ManagedImage", "imageId": image}
    assert check("", source=source, customize=[shell, shell]) == (True, [])
    assert check("", source=source, customize=[shell, power_shell])[1] == [
        ("wrong-os", "use Shell, or another source")
    ]
    assert check("", source=source, customize=[power_shell, shell])[1][0][0] == "wrong-os"


def test_numbers_are_the_services() -> None:
    regions = [{"name": "eastus", "replicaCount": 2**31}]
    gallery = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/g/images/i"
    target = {"type": "SharedImage", "runOutputName": "s", "galleryImageId": gallery, "targetRegions": regions}
    assert check("", distribute=[target])[1][0][0] == "out-of-range"


def test_what_az_reads_beside_the_properties_is_no_silent_loss() -> None:
    body = {"location": "westeurope", "validate": {"inVMValidations": []}, "properties": {"source": SOURCE}}
    found = validate_file("t.json", text=json.dumps(body).encode()).diagnostics
    assert ("error", "unknown-field", "'validate' belongs into 'properties'") in [
        (str(one.severity), one.code, one.hint) for one in found
    ]


def test_an_empty_word_is_one_that_is_not_known() -> None:
    valid, found = check("", source={"type": ""}, distribute=[{"type": ""}], customize=[{"type": ""}])

    assert not valid
    assert [code for code, _ in found] == ["unknown-type"] * 3
    valid, found = check("", errorHandling={"onCustomizerError": ""})
    assert [(code, "one of: cleanup, abort" in hint) for code, hint in found] == [("bad-value", True)]


@pytest.mark.parametrize("version", ["2022-07-02", "2030-01-01"])
def test_an_api_version_that_is_not_known_is_a_warning(version: str) -> None:
    valid, found = check(version)

    assert valid
    assert [code for code, _ in found] == ["unknown-api-version"]
    assert check("latest")[0] is False
