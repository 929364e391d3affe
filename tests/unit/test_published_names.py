"""The names under which others will refer to us: the same everywhere, of the present version, and those that are not
ours yet said in one place."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAJOR = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"].partition(".")[0]
SHOWN = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "samples").rglob("*.yml")),
    *sorted((ROOT / "task").glob("*.md")),
]
REFERENCE = re.compile(r"\S*imagewright/imagewright@[\w.]+|\bImagewright@[\w.]+")
RIGHT = {f"{before}imagewright/imagewright@v{MAJOR}" for before in ("", "`", "git+https://github.com/")} | {
    f"Imagewright@{MAJOR}"
}


@pytest.mark.parametrize("file", SHOWN, ids=lambda file: str(file.relative_to(ROOT)))
def test_whoever_copies_a_line_gets_the_present_version(file: Path) -> None:
    assert set(REFERENCE.findall(file.read_text("utf-8"))) <= RIGHT


def test_the_pages_name_the_action_and_the_task() -> None:
    readme = set(REFERENCE.findall((ROOT / "README.md").read_text("utf-8")))
    assert {f"imagewright/imagewright@v{MAJOR}", f"Imagewright@{MAJOR}"} <= readme


def test_what_is_to_be_replaced_before_a_release_is_said_in_one_place() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    releasing = page[page.index("## Releasing") :]
    extension, task = (json.loads((ROOT / name).read_text("utf-8")) for name in ("vss-extension.json", "task.json"))
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert f'"publisher": "{extension["publisher"]}"' in releasing
    assert action["author"] == task["author"]
    assert f"author: {action['author']}" in releasing
    assert "`imagewright/imagewright`" in releasing
