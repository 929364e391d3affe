"""The same steps on real QEMU, to a real VHD: the action on a runner, the task on an agent."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from azure_agent import Agent
from github_runner import Runner, base_environment

from imagewright.core.clock import fresh_name

ROOT = Path(__file__).parents[2]
SECTOR = 512

pytestmark = pytest.mark.qemu


@pytest.fixture(scope="module")
def home() -> Path:
    """The one of the local tests: the base disk and its first boot are made once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("IMAGEWRIGHT_TEST_HOME", cache / "imagewright-tests" / "home"))


def template(greeting: str) -> str:
    source = {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"}
    use = ["test -x /tmp/drop/bin/greet", f"/tmp/drop/bin/greet {greeting} | sudo tee /etc/greeting"]
    body = {
        "location": "westeurope",
        "properties": {
            "source": {"type": "PlatformImage", **source},
            "customize": [{"type": "Shell", "name": "greet", "inline": use}],
            "distribute": [{"type": "VHD", "runOutputName": "greeter"}],
        },
    }
    return json.dumps(body, indent=2)


def artifacts(directory: Path) -> None:
    program = directory / "drop" / "bin" / "greet"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "::error::hello $1 ##vso[task.complete result=Failed;]"\n')
    program.chmod(0o755)


def is_fixed_vhd(file: Path) -> bool:
    """Azure takes nothing else: a footer at the end, whole MiB before it."""
    with file.open("rb") as disk:
        disk.seek(-SECTOR, os.SEEK_END)
        footer = disk.read(SECTOR)
    fixed = int.from_bytes(footer[60:64]) == 2
    return footer[:8] == b"conectix" and fixed and (file.stat().st_size - SECTOR) % (1 << 20) == 0


def test_the_action_builds_a_vhd(home: Path, tmp_path: Path, checkout: Path, uv: None) -> None:
    runner = Runner(tmp_path, base_environment(IMAGEWRIGHT_HOME=str(home)), {"./": checkout})
    artifacts(runner.workspace)
    word = fresh_name()  # or else the step would be cached in the home, which is kept, and say nothing
    inputs = {"template": template(word), "platform": "local", "artifacts": "drop", "timeout": "55"}
    assert runner.job([{"id": "image", "uses": "./", "with": inputs}]) == "success", runner.log
    assert is_fixed_vhd(Path(runner.outputs("image")["image-id"]))
    assert f"| ::error::hello {word} ## vso[task.complete result=Failed;]" in runner.log
    assert not [each for each in runner.steps["image/build"].commands if each.name == "error"]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_task_builds_a_vhd(home: Path, tmp_path: Path) -> None:
    task = tmp_path / "task"
    shutil.copytree(ROOT / "task", task)
    shutil.copy(ROOT / "task.json", task)
    environment = {"IMAGEWRIGHT_PYTHON": sys.executable, "IMAGEWRIGHT_HOME": str(home)}
    agent = Agent(tmp_path / "agent", task, environment)
    artifacts(agent.sources)
    word = fresh_name()
    ran = agent.run(template=template(word), platform="local", packagePath="drop", timeout="55")
    assert ran.result == "Succeeded", ran.log
    assert is_fixed_vhd(Path(agent.variables["imageUri"]))
    assert f"| ::error::hello {word} ## vso[task.complete result=Failed;]" in ran.log
