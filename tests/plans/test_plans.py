"""Templates beside the plan that they must become: `NAME.json` or `.yaml`, and `NAME.plan.json`.

`NAME.parameters.json`, if there is one, is its parameters file. `UPDATE_EXPECTED=1 pytest tests/plans` writes the
expected files anew; read the difference before you commit it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from imagewright.core.origin import Origin
from imagewright.core.secret import Mask
from imagewright.template import ArmContext, plans

HERE = Path(__file__).parent
INPUTS = sorted(path for path in HERE.iterdir() if path.suffix in {".json", ".yaml"} and "." not in path.stem)
CONTEXT = ArmContext("0000", "images", "westeurope", "9999", now=datetime(2026, 11, 23, 10, 15, tzinfo=UTC))


def as_data(value: Any) -> Any:
    """A plan as JSON: what has its default value is left out, an origin is `line:column pointer`."""
    match value:
        case Origin():
            return f"{value.line}:{value.column} {value.pointer}".rstrip()
        case Mask():
            return [secret.name for secret in value.secrets]
        case Enum():
            return value.value
        case str():
            return value.replace(str(HERE), "HERE")
        case tuple():
            return [as_data(one) for one in value]
        case _ if dataclasses.is_dataclass(value):
            shown = {"": type(value).__name__}
            for field in dataclasses.fields(value):
                if (one := getattr(value, field.name)) != field.default:
                    shown[field.name] = as_data(one)
            return shown
    return value


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_the_template_becomes_this_plan(path: Path) -> None:
    parameters = HERE / f"{path.stem}.parameters.json"
    found, warnings = plans(
        str(path), parameters_file=str(parameters) if parameters.exists() else None, context=CONTEXT
    )
    data = {"plans": as_data(found), "warnings": [f"{one.origin.line} {one.code}" for one in warnings]}
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    expected = path.with_suffix(".plan.json")
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(text, encoding="utf-8")

    assert text == expected.read_text(encoding="utf-8")
