"""What the last images were built from, for `when: source-changed`: one small file under the home directory."""

from __future__ import annotations

import json
from pathlib import Path

from imagewright.core.digest import digest
from imagewright.engine.explain import PlanReport


def key(report: PlanReport) -> str:
    """Names an image: its source as the template writes it, and the places it goes to."""
    places = tuple(target.destination for target in report.targets)
    return digest("imagewright.last-built.v1", report.template, str(report.source.source), places)


def known(home: Path, name: str) -> str:
    """The identity of the source of the last image `name`, or `""`."""
    return _read(home).get(name, "")


def remember(home: Path, name: str, identity: str) -> None:
    file = _file(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps({**_read(home), name: identity}, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def _read(home: Path) -> dict[str, str]:
    try:
        found = json.loads(_file(home).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _file(home: Path) -> Path:
    return home / "last-built.json"
