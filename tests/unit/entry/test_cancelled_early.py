"""A job that is cancelled before its build has begun: while it signs in, packs or plans."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import memory_platform
import pytest
from sample_template import template

from imagewright.entry.github import GitHub
from imagewright.entry.pipeline import main
from imagewright.options.pipeline import PipelineOptions
from imagewright.platforms import PLATFORMS


class Interrupted(GitHub):
    """Gets its SIGINT when the build artifacts are looked for."""

    def artifacts(self, given: PipelineOptions, directory: Path) -> tuple[str, str]:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    monkeypatch.setitem(PLATFORMS, "local", memory_platform.entry())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "output").touch()
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    return {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "INPUT_TEMPLATE": template("say hi"),
        "INPUT_PLATFORM": "local",
        "IMAGEWRIGHT_HOME": str(tmp_path / "home"),
    }


def test_it_is_reported_as_cancelled(environment: Mapping[str, str], tmp_path: Path) -> None:
    assert main(Interrupted(environment), ["build"]) == 130
    outputs = (tmp_path / "output").read_text().splitlines()
    assert "canceled" in outputs
    assert outputs.count("failed") == 1  # imagebuilder-run-status knows no other word
