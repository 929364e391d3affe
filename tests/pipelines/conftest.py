"""A job on a runner: our action as it is checked out there, on the platform in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from github_runner import Runner, base_environment

from imagewright.options.action_yml import STEERING

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "fakes"
MEMORY = {"PYTHONPATH": f"{FAKES / 'local_is_memory'}{os.pathsep}{FAKES}"}


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The action's repository as the runner fetches it: no virtual environment, nothing built."""
    target = tmp_path_factory.mktemp("_actions") / "imagewright"
    target.mkdir()
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "action.yml"):
        shutil.copy(ROOT / name, target / name)
    shutil.copytree(ROOT / "src", target / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return target


@pytest.fixture(scope="session")
def uv(checkout: Path) -> None:
    """Installed once, as by the first step that runs the tool."""
    extras = ("--extra", "azure", "--extra", "pipelines")
    command = ["uv", "run", "--project", str(checkout), "--frozen", "--no-dev", *extras, "python", "-c", "0"]
    environment = {name: value for name, value in os.environ.items() if name not in STEERING}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=checkout, env=environment)
    assert done.returncode == 0, f"uv cannot install the action here: {done.stderr}"


@pytest.fixture
def memory() -> dict[str, str]:
    """What makes `platform: local` the platform in memory in another process."""
    return MEMORY


@pytest.fixture
def runner(tmp_path: Path, checkout: Path, uv: None) -> Callable[..., Runner]:
    def make(**environment: str) -> Runner:
        home = {"IMAGEWRIGHT_HOME": str(tmp_path / "home"), "IMAGEWRIGHT_PLATFORM": "local"}
        actions = {"imagewright/imagewright": checkout, "./": checkout}
        return Runner(tmp_path / "runner", base_environment(**MEMORY, **home, **environment), actions)

    return make
