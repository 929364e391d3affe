"""The JSON schemas that Microsoft publishes for image templates, with their two defects mended."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parents[2] / ".." / "shared"
SCHEMAS = SHARED / "specs" / "imagebuilder"


def versions() -> list[str]:
    return sorted(path.name.partition(".")[0] for path in SCHEMAS.glob("*.json")) if SCHEMAS.is_dir() else []


@cache
def published(version: str) -> dict[str, Any]:
    """The schema of an api-version among `versions()`.

    It refers to ARM's common definitions on the web, of which it needs `expression` alone. And it puts
    `additionalProperties: false` on the common part of every union (customizers, sources, distributors), which taken
    by the letter of JSON schema forbids every field that the variants then require.
    """
    text = (SCHEMAS / f"{version}.Microsoft.VirtualMachineImages.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = _mended(json.loads(text))
    loaded["definitions"]["expression"] = {"type": "string", "pattern": r"^\[(?!\[).*\]$"}
    return loaded


def _mended(node: Any) -> Any:
    if isinstance(node, list):
        return [_mended(one) for one in node]
    if not isinstance(node, dict):
        return node
    if str(node.get("$ref", "")).endswith("#/definitions/expression"):
        return {"$ref": "#/definitions/expression"}
    result = {key: _mended(value) for key, value in node.items()}
    for part in result.get("allOf", []):
        if isinstance(part, dict):
            part.pop("additionalProperties", None)
    return result
