"""The extension as it is packaged, and the task as an agent unpacks it: it installs itself once."""

from __future__ import annotations

import importlib.util
import json
import shutil
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from azure_agent import Agent
from sample_template import template

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")


def packager() -> ModuleType:
    spec = importlib.util.spec_from_file_location("package_extension", ROOT / "script" / "package_extension.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist") / "extension"
    try:
        packager().assemble(folder)
    except SystemExit as error:
        pytest.skip(f"uv cannot build the wheel here: {str(error).splitlines()[-1]}")
    return folder


def test_the_lock_has_hashes_and_no_address_of_a_registry(extension: Path) -> None:
    lock = (extension / "Imagewright" / "requirements.txt").read_text("utf-8")
    assert lock.count("--hash=sha256:") > lock.count("==")
    assert "http" not in lock
    assert "azure-devops==7.1.0b4" in lock


def test_tfx_packages_it(extension: Path, tmp_path: Path) -> None:
    output = tmp_path / "imagewright.vsix"
    try:
        packager().package(extension, output)
    except SystemExit as error:
        if "npm" in str(error):
            pytest.skip(f"tfx-cli cannot be installed here: {str(error).splitlines()[-1]}")
        raise
    with zipfile.ZipFile(output) as packed:
        names = set(packed.namelist())
        manifest = json.loads(packed.read("extension.vsomanifest"))
        task = json.loads(packed.read("Imagewright/task.json"))
    assert {"Imagewright/index.js", "Imagewright/post.js", "Imagewright/requirements.txt"} <= names
    assert [each["type"] for each in manifest["contributions"]] == ["ms.vss-distributed-task.task"]
    assert task["name"] == "Imagewright"


def test_an_agent_installs_it_once_and_runs_it(extension: Path, tmp_path: Path, memory: dict[str, str]) -> None:
    environment = {**memory, "IMAGEWRIGHT_HOME": str(tmp_path / "home"), "IMAGEWRIGHT_PLATFORM": "local"}
    agent = Agent(tmp_path / "agent", extension / "Imagewright", environment)
    first = agent.run(template=template("say hello"))
    if "could not be installed" in first.log:
        pytest.skip("the packages cannot be had here")
    assert first.result == "Succeeded", first.log
    assert "Installing Imagewright" in first.log
    assert agent.outputs["imageId"].endswith("web.vhd")
    again = agent.run(template=template("say hello"))
    assert again.result == "Succeeded", again.log
    assert "Installing Imagewright" not in again.log
    (done,) = (tmp_path / "agent" / "_tool" / "imagewright").glob("*.complete")
    assert done.with_suffix("").is_dir()
