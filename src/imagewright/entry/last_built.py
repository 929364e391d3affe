"""What the last images were built from, where only this machine knows: a small file in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

from imagewright.core.digest import digest
from imagewright.core.files import write_whole
from imagewright.engine.explain import PlanReport


def key(report: PlanReport, run: str = "") -> str:
    """Names an image: its template, its source as that writes it, and the places it goes to.

    `run` is this run's own part of the names that nobody gave: it would make an image new in every run.
    """
    places = tuple(target.destination.replace(run, "") for target in report.targets)
    return digest("imagewright.last-built.v2", report.template, str(report.source.source), places)


def known(home: Path, name: str) -> str:
    """The tag of the source of the last image `name`, or `""`."""
    return _read(home).get(name, "")


def remember(home: Path, name: str, source: str) -> None:
    path = file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({**_read(home), name: source}, indent=2) + "\n")


def file(home: Path) -> Path:
    return home / "last-built" / "images.json"


def _read(home: Path) -> dict[str, str]:
    try:
        found = json.loads(file(home).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
