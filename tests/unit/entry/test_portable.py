"""What a Windows agent needs: everything but the platform on QEMU, in a process without what only POSIX has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sample_template import template

from imagewright.core.clock import SystemClock
from imagewright.core.errors import PlatformError
from imagewright.platforms import Settings, entry, find, load

FAKES = Path(__file__).parents[2] / "fakes"


def tool(directory: Path, module: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "IMAGEWRIGHT_HOME": str(directory / "home"),
        "IMAGEWRIGHT_PLATFORM": "local",
        "PYTHONPATH": f"{FAKES / 'without_posix'}{os.pathsep}{FAKES}",
        **more,
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", module, *arguments],
        check=False, capture_output=True, text=True, cwd=directory, env=environment,
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "web.json").write_text(template("say hello"))
    return tmp_path


def test_the_process_really_lacks_them(place: Path) -> None:
    code = "import os, select; assert not hasattr(os, 'pread') and not hasattr(select, 'poll'); import fcntl"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False, capture_output=True, text=True, env={"PYTHONPATH": str(FAKES / "without_posix")},
    )  # fmt: skip
    assert "import of fcntl halted" in done.stderr


def test_plan_build_and_clean_up(place: Path) -> None:
    planned = tool(place, "imagewright", "plan", "web.json")
    assert planned.returncode == 0, planned.stderr
    assert list((place / "home" / "builds").iterdir()) == []
    built = tool(place, "imagewright", "build", "web.json", "--result", "result.json")
    assert built.returncode == 0, built.stderr
    assert "hello" in built.stderr
    assert json.loads((place / "result.json").read_text())["state"] == "Succeeded"
    (ledger,) = (place / "home").glob("builds/*/ledger.jsonl")
    with ledger.open("a") as file:
        owned = {"platform": "memory", "kind": "machine", "id": "machine-9", "detail": ""}
        file.write(json.dumps({"own": owned}) + "\n")
    cleaned = tool(place, "imagewright", "cleanup")
    assert cleaned.returncode == 0, cleaned.stderr
    assert "machine-9" in cleaned.stdout + cleaned.stderr


@pytest.mark.parametrize("runner", ["github", "azure-pipelines"])
def test_both_runners(place: Path, runner: str) -> None:
    done = tool(place, "imagewright.entry.start", runner, "build", INPUT_TEMPLATE="web.json", TMPDIR=str(place))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hello" in done.stdout


def test_the_ssh_guest_and_the_azure_platform_can_be_loaded(place: Path) -> None:
    code = "import imagewright.communicators.ssh, imagewright.platforms.azure.platform, imagewright.disks.carry"
    environment = {"PYTHONPATH": f"{FAKES / 'without_posix'}{os.pathsep}{FAKES}", "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_local_platform_says_at_once_that_it_needs_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "home", work=tmp_path / "work")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(PlatformError, match="need Linux") as caught:
        load("local", settings, lambda _: None, SystemClock())
    assert "--platform azure" in caught.value.hint
    with pytest.raises(PlatformError, match="need Linux"):
        find(entry("local").checks)(settings)
