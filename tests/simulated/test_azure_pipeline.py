"""The action on the Azure platform: what a second run on another runner knows of the first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from armsim import Simulator
from azure_world import AzureWorld
from command_line import CommandLine
from runner_grammar import github_file
from sdk import Sdk

from imagewright.entry.github import GitHub
from imagewright.entry.pipeline import main


@pytest.fixture
def line(simulator: Simulator, tmp_path: Path) -> CommandLine:
    line = CommandLine(simulator, tmp_path)
    line.close()
    return line


def test_a_fresh_runner_skips_what_the_gallery_has(
    simulator: Simulator, sdk: Sdk, line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = AzureWorld(simulator, tmp_path, sdk)
    for name, value in line.environment().items():
        monkeypatch.setenv(name, value)
    statuses = []
    for run, when in (("first", "always"), ("second", "source-changed")):
        temp = tmp_path / run
        temp.mkdir()
        (temp / "output").touch()
        monkeypatch.setenv("GITHUB_OUTPUT", str(temp / "output"))
        own = {
            "RUNNER_TEMP": str(temp),
            "IMAGEWRIGHT_HOME": str(temp / "home"),
            "INPUT_TEMPLATE": line.template(world.definition).read_text(),
            "INPUT_WHEN": when,
        }
        assert main(GitHub({**os.environ, **own}), ["build"]) == 0
        statuses.append(github_file(temp / "output")["status"])
    assert statuses == ["succeeded", "skipped"]
    assert [each for each in world.left() if "/IT_" in each] == []
