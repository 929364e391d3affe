"""Bad input beside the diagnostics it must give: `NAME.json` or `.yaml`, and `NAME.txt`.

`NAME.parameters.json`, if there is one, is its parameters file. `UPDATE_EXPECTED=1 pytest tests/errors` writes the
expected files anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagewright.core.errors import Diagnostic
from imagewright.template import validate_file

HERE = Path(__file__).parent
INPUTS = sorted(
    path for path in HERE.iterdir() if path.suffix in {".json", ".yaml", ".bicep"} and path.stem.count(".") == 0
)


def shown(found: Diagnostic) -> str:
    origin = found.origin
    place = f"{origin.file}:{origin.line}:{origin.column} {found.severity} {found.code} {origin.pointer}".rstrip()
    hint = f"    hint: {found.hint}\n" if found.hint else ""
    return f"{place}: {found.message} [{origin.length}]\n{hint}".replace(f"{HERE}/", "")


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_every_finding_at_once_and_in_order(path: Path) -> None:
    parameters = HERE / f"{path.stem}.parameters.json"
    checked = validate_file(str(path), parameters=str(parameters) if parameters.exists() else None)
    text = "".join(shown(found) for found in checked.diagnostics)
    expected = path.with_suffix(".txt")
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(text, encoding="utf-8")

    assert text == expected.read_text(encoding="utf-8")
    assert [found.code for found in checked.diagnostics if not found.hint] == []
    assert [found.code for found in checked.diagnostics if _nowhere(found)] == []


def _nowhere(found: Diagnostic) -> bool:
    """Whether a finding about a value does not say which one; syntax errors and whole files have no pointer."""
    whole = {"bicep", "bad-encoding", "cannot-read", "empty-file", "file-too-large", "no-image-template"}
    of_the_template = found.code in {"no-identity", "missing-field", "wrong-type"}
    elsewhere = found.code in whole or found.code.endswith("-syntax") or of_the_template
    return not found.origin.pointer and not elsewhere
