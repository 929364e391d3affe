"""Our verdict on real templates, beside that of the JSON schema which Microsoft publishes for their api-version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from published_schemas import SHARED, published, versions

from imagewright.core.unknown import Unknown
from imagewright.template import read, validate_file
from imagewright.template.resource_types import is_image_template

TEMPLATES = SHARED / "templates"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not TEMPLATES.is_dir(), reason="needs ../shared/templates"),
]

NEWEST = "2025-10-01"

# file -> (our verdict, why the schema says the opposite)
_NO_IDENTITY = "the schema requires an identity; Imagewright needs none, so that is a warning here"
DISAGREEMENTS: dict[str, tuple[bool, str]] = {
    "Azure__avdaccelerator/avm__1.0.0__res__virtual-machine-images__image-template__main.json": (
        True,
        "`distribute` comes out of a `copy` loop, which the schema does not follow: it misses the property",
    ),
    "Azure__avdaccelerator/workload__workshop__Azure Image Builder__armTemplateWin.json": (True, _NO_IDENTITY),
    "JimMoyle__CloudImageBuilder/Templates__SampleTemplates__CustomTemplateWVD.json": (True, _NO_IDENTITY),
    "JimMoyle__CloudImageBuilder/Templates__SampleTemplates__helloImageTemplateWin.new.json": (True, _NO_IDENTITY),
}


def files(pattern: str) -> list[Path]:
    return sorted(TEMPLATES.rglob(pattern)) if TEMPLATES.is_dir() else []


def name_of(path: Path) -> str:
    return str(path.relative_to(TEMPLATES))


def resources(data: Any) -> Iterator[dict[str, Any]]:
    """Every image template resource as it is written, nested deployments included."""
    table = data.get("resources", []) if isinstance(data, dict) else []
    for resource in table.values() if isinstance(table, dict) else table:
        if is_image_template(resource.get("type")):
            yield resource
        yield from resources(resource.get("properties", {}).get("template", {}))


def plain(value: Any) -> Any:
    """The template with its placeholders filled in: what is unknown here is not for the schema to judge either."""
    match value:
        case Unknown():
            return "filled"
        case str():
            return re.sub(r"<[A-Za-z][^<>]*>", "filled", value)
        case dict():
            return {plain(key): plain(one) for key, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case _:
            return value


def published_verdict(data: Any) -> bool | None:
    """Whether the schema accepts all image templates of a file; None when none was published for their version."""
    found = list(resources(data))
    if not found:
        return accepts(data, "ImageTemplateProperties", data.get("properties"))
    verdicts = [accepts({**one, "apiVersion": version_of(one, data)}, "", one) for one in found]
    return None if None in verdicts else all(verdicts)


def version_of(resource: dict[str, Any], data: Any) -> str:
    """The api-version of a resource; where it is that of a parameter, its default."""
    version = str(resource.get("apiVersion", NEWEST))
    found = re.fullmatch(r"\[parameters\('(\w+)'\)\]", version)
    if found:
        return str(data["parameters"][found[1]].get("defaultValue", NEWEST))
    return NEWEST if version.startswith("[") else version


def accepts(resource: dict[str, Any], definition: str, value: Any) -> bool | None:
    version = resource.get("apiVersion", NEWEST)
    if version not in versions():
        return None
    target = f"#/definitions/{definition}" if definition else "#/resourceDefinitions/imageTemplates"
    if not definition:
        value = {**value, "apiVersion": version}
    return bool(Draft4Validator({**published(version), "allOf": [{"$ref": target}]}).is_valid(plain(value)))


@pytest.mark.parametrize("path", files("*.json"), ids=name_of)
def test_the_verdict_agrees_with_the_published_schema(path: Path) -> None:
    checked = validate_file(str(path))
    published = published_verdict(read(str(path)).data)

    if published is None:
        # 2019-05-01-preview has no published schema. All these files were accepted by the service in their time.
        assert checked.valid, [found.message for found in checked.diagnostics]
    elif name_of(path) in DISAGREEMENTS:
        ours, reason = DISAGREEMENTS[name_of(path)]
        assert (checked.valid, published) == (ours, not ours), reason
    else:
        assert checked.valid is published, [found.message for found in checked.diagnostics]


@pytest.mark.parametrize("path", files("*.bicep*"), ids=name_of)
def test_bicep_is_sent_to_its_compiler(path: Path) -> None:
    (found,) = validate_file(str(path)).diagnostics

    assert found.code == "bicep"
    assert "az bicep build" in found.hint
