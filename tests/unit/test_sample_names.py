"""Every input and output that a sample or a page uses is one of the action, or of the task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import block

from imagewright.options.outputs import OUTPUTS

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "pipelines"
GITHUB = {file.name: file.read_text("utf-8") for file in (SAMPLES / "github").glob("*.yml") if file.stem != "zizmor"}
GITHUB |= {page: block(page, "jobs:") for page in ("README.md", "docs/how-to/build-in-github-actions.md")}
AZURE = {file.name: file.read_text("utf-8") for file in (SAMPLES / "azure").glob("*.yml")}
AZURE["README.md"] = block("README.md", "steps:")
AZURE["docs/how-to/build-in-azure-pipelines.md"] = block("docs/how-to/build-in-azure-pipelines.md", "jobs:")

action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
task = json.loads((ROOT / "task.json").read_text("utf-8"))


def ours(document: Any, key: str, beginning: str) -> Iterator[dict[str, Any]]:
    """The steps whose `key` begins so, wherever they are in a document."""
    if isinstance(document, dict):
        if str(document.get(key, "")).startswith(beginning):
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from ours(each, key, beginning)


@pytest.mark.parametrize("text", GITHUB.values(), ids=GITHUB)
def test_the_action_has_what_a_workflow_uses(text: str) -> None:
    steps = list(ours(yaml.safe_load(text), "uses", "imagewright/imagewright@"))
    assert steps
    for step in steps:
        assert set(step["with"]) <= set(action["inputs"])
        read = re.findall(rf"\bsteps\.{step['id']}\.outputs\.([\w-]+)", text) if "id" in step else []
        assert set(read) <= set(action["outputs"])


@pytest.mark.parametrize("text", AZURE.values(), ids=AZURE)
def test_the_task_has_what_a_pipeline_uses(text: str) -> None:
    steps = list(ours(yaml.safe_load(text), "task", "Imagewright@"))
    assert steps
    outputs = {output.task_output for output in OUTPUTS if output.task}
    inputs = {each["name"] for each in task["inputs"]}
    for step in steps:
        assert set(step["inputs"]) <= inputs
        read = re.findall(rf"(?:\$\(|'){step['name']}\.(\w+)(?:\)|')", text) if "name" in step else []
        assert set(read) <= outputs
