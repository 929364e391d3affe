"""The extension as it is packaged, and the task as an agent unpacks it: it installs itself once."""

from __future__ import annotations

import importlib.util
import json
import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from azure_agent import Agent
from machine import command, path_without
from sample_template import template

ROOT = Path(__file__).parents[2]


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
    packager().assemble(folder)
    return folder


def test_the_lock_has_hashes_and_no_address_of_a_registry(extension: Path) -> None:
    lock = (extension / "Imagewright" / "requirements.txt").read_text("utf-8")
    assert lock.count("--hash=sha256:") > lock.count("==")
    assert "http" not in lock
    assert "azure-devops==7.1.0b4" in lock


def test_tfx_packages_it(extension: Path, tmp_path: Path) -> None:
    output = tmp_path / "imagewright.vsix"
    packager().package(extension, output)
    with zipfile.ZipFile(output) as packed:
        names = set(packed.namelist())
        manifest = json.loads(packed.read("extension.vsomanifest"))
        task = json.loads(packed.read("Imagewright/task.json"))
    assert {"Imagewright/index.js", "Imagewright/post.js", "Imagewright/requirements.txt"} <= names
    assert [each["type"] for each in manifest["contributions"]] == ["ms.vss-distributed-task.task"]
    assert task["name"] == "Imagewright"


@pytest.mark.parametrize(("missing", "hint"), [("uv", "install uv"), ("npm", "install Node.js with npm")])
def test_what_the_packager_lacks_is_said(
    missing: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", missing, "tfx"))
    mine = packager()
    monkeypatch.setattr(mine, "TOOLS", tmp_path / "tools")
    with pytest.raises(SystemExit, match=f"error: {missing} is not on the PATH\nhint: {hint}"):
        mine.main([str(tmp_path / "out.vsix")])


def test_a_publisher_of_ones_own(tmp_path: Path) -> None:
    mine = packager()
    mine.assemble(tmp_path / "folder", "octo")
    mine.package(tmp_path / "folder", tmp_path / "out.vsix")
    with zipfile.ZipFile(tmp_path / "out.vsix") as packed:
        assert b'Publisher="octo"' in packed.read("extension.vsixmanifest")


def test_an_agent_installs_it_once_and_runs_it(extension: Path, tmp_path: Path, memory: dict[str, str]) -> None:
    environment = {**memory, "IMAGEWRIGHT_HOME": str(tmp_path / "home"), "IMAGEWRIGHT_PLATFORM": "local"}
    agent = Agent(tmp_path / "agent", extension / "Imagewright", environment)
    first = agent.run(template=template("say hello"))
    assert first.result == "Succeeded", first.log
    assert "Installing Imagewright" in first.log
    assert agent.outputs["imageId"].endswith("web.vhd")
    again = agent.run(template=template("say hello"))
    assert again.result == "Succeeded", again.log
    assert "Installing Imagewright" not in again.log
    assert len(homes(agent)) == 1


# --- agents without uv, and without a Python that is good enough ---


Make = Callable[[str], Agent]


@pytest.fixture
def agent(extension: Path, tmp_path: Path, memory: dict[str, str]) -> Make:
    def make(path: str) -> Agent:
        ours = {"IMAGEWRIGHT_HOME": str(tmp_path / "home"), "IMAGEWRIGHT_PLATFORM": "local", "PATH": path}
        return Agent(tmp_path / "agent", extension / "Imagewright", {**memory, **ours})

    return make


def homes(agent: Agent) -> list[str]:
    return sorted(each.name for each in (agent.root / "_tool" / "imagewright").iterdir())


def test_without_uv_pip_installs_it(agent: Make, tmp_path: Path) -> None:
    mine = agent(path_without(tmp_path / "bin", "uv"))
    ran = mine.run(template=template("say hello"))
    assert ran.result == "Succeeded", ran.log
    assert "Installing Imagewright" in ran.log
    assert len(homes(mine)) == 1


def test_what_breaks_is_made_anew(agent: Make, tmp_path: Path) -> None:
    mine = agent(os.environ["PATH"])
    assert mine.run(template=template("say hello")).result == "Succeeded"
    (home,) = homes(mine)
    # The Python that it was made with has gone from the agent.
    python = mine.root / "_tool" / "imagewright" / home / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    again = mine.run(template=template("say hello"))
    assert again.result == "Succeeded", again.log
    assert "Installing Imagewright" in again.log
    assert homes(mine) == [home]


def test_a_tool_cache_that_is_closed_is_done_without(agent: Make) -> None:
    mine = agent(os.environ["PATH"])
    mine.environment["AGENT_TOOLSDIRECTORY"] = "/dev/null/tools"
    for installs in (True, False):
        ran = mine.run(template=template("say hello"))
        assert ran.result == "Succeeded", ran.log
        assert ("Installing Imagewright" in ran.log) == installs


def test_two_agents_of_one_machine_install_it_at_once(agent: Make, tmp_path: Path) -> None:
    mine = agent(os.environ["PATH"])
    others = [Agent(tmp_path / f"agent-{n}", mine.task, dict(mine.environment)) for n in range(2)]
    for other in others:
        other.environment["AGENT_TOOLSDIRECTORY"] = str(mine.root / "_tool")
    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(lambda other: other.run(template=template("say hello")), others))
    assert [each.result for each in ran] == ["Succeeded", "Succeeded"], ran[0].log + ran[1].log
    assert len(homes(mine)) == 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "no Python 3.11 or newer was found (looked for python3, python, py -3); put UsePythonVersion@0"),
        ("echo 3.9", "no Python 3.11 or newer was found (python3 is 3.9); put UsePythonVersion@0"),
        (
            '[ "$1" = -c ] && echo 3.12',
            "python3 ended with 1; on Debian and Ubuntu its module venv is in the package",
        ),
    ],
)
def test_an_agent_that_cannot_install_it_says_what_it_lacks(
    agent: Make, tmp_path: Path, script: str | None, message: str
) -> None:
    path = path_without(tmp_path / "bin", "uv", "python", "python3", "py")
    if script is not None:
        command(path, "python3", script)
    mine = agent(path)
    ran = mine.run(template=template("say hello"))
    assert ran.result == "Failed"
    assert len(ran.issues) == 1
    assert message in ran.issues[0]
    assert homes(mine) == []


def test_an_agent_that_is_cancelled_while_it_installs_leaves_no_half(agent: Make, tmp_path: Path) -> None:
    path = path_without(tmp_path / "bin", "uv")
    command(
        path, "python3", 'if [ "$1" = -c ]; then echo 3.12; else mkdir -p "$3"; echo venv; exec tail -f /dev/null; fi'
    )
    mine = agent(path)
    mine.cancel_when = lambda log: "venv" in log.splitlines()
    ran = mine.run(template=template("say hello"))
    assert ran.issues == ["cancelled"]
    assert homes(mine) == []
