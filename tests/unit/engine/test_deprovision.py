from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from small_plan import small_plan

from imagewright.core.actions import Inline, Run, RunAs, Upload
from imagewright.core.errors import PlatformError
from imagewright.core.events import Event, Level, Note, Output
from imagewright.core.origin import Origin
from imagewright.core.plan import Optimization, OsType
from imagewright.engine import deprovision
from imagewright.engine.finish import finishing

SCRIPTS = sorted(Path(deprovision.__file__).with_name("linux").glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_guest_script_is_posix_shell_and_wants_no_python(script: Path) -> None:
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert "python" not in script.read_text("utf-8")


def test_the_script_is_put_where_a_customizer_may_find_it() -> None:
    upload, _ = deprovision.prepare(OsType.LINUX)
    assert isinstance(upload, Upload)
    assert (upload.destination, upload.mode) == ("/tmp/DeprovisioningScript.sh", 0o755)
    assert isinstance(upload.content, Inline)
    assert "-force -deprovision+user" in upload.content.text


def test_each_optimizer_knows_where_it_was_asked_for() -> None:
    there = Origin("web.json", 30)
    plan = small_plan("one", optimization=Optimization(True, Inline("tune"), there))
    assert [step.origin for step in finishing(plan, OsType.LINUX).optimizers] == [there, plan.origin]


@pytest.mark.parametrize("vm_boot", [False, True])
def test_what_finishes_an_image_is_whole_and_runs_with_full_rights(tmp_path: Path, vm_boot: bool) -> None:
    plan = small_plan("one", optimization=Optimization(vm_boot=vm_boot))
    actions = finishing(plan, OsType.LINUX).actions()
    texts = []
    for number, action in enumerate(actions):
        assert isinstance(action, Run)
        assert isinstance(action.script, Inline)
        assert action.run_as is RunAs.ELEVATED
        (tmp_path / f"{number}.sh").write_text(action.script.text)
        assert subprocess.run(["sh", "-n", tmp_path / f"{number}.sh"], check=False).returncode == 0
        texts.append(action.script.text)
    everything = "\n".join(texts)
    assert deprovision.LINUX_PATH in everything
    assert "/etc/machine-id" in everything
    assert ("fstrim" in everything) is vm_boot


def test_windows_is_refused_by_name() -> None:
    with pytest.raises(PlatformError, match="Windows"):
        deprovision.prepare(OsType.WINDOWS)


def test_a_source_without_the_azure_agent_is_told_of_at_once_with_what_to_do() -> None:
    _, look = deprovision.prepare(OsType.LINUX)
    assert isinstance(look, Run)
    assert isinstance(look.script, Inline)
    said = subprocess.run(["sh", "-c", look.script.text], capture_output=True, text=True, check=True).stdout
    told: list[Event] = []
    tell = deprovision.as_warnings(told.append)
    tell(Output(said.strip()))
    tell(Note("something else"))
    warning, other = told
    assert isinstance(warning, Note)
    assert warning.level is Level.WARNING
    assert warning.message.startswith("the source has no Azure agent")
    assert "waagent on Debian" in warning.hint
    assert other == Note("something else")
