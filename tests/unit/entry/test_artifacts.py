from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from imagewright.core.actions import Inline, Remote, Run, Shell, Upload
from imagewright.core.errors import OptionsError
from imagewright.core.events import Event, Note
from imagewright.core.origin import Origin
from imagewright.core.plan import (
    MachineSpec,
    ManagedImage,
    Optimization,
    OsType,
    Plan,
    PlatformImage,
    Source,
    Step,
    Validation,
)
from imagewright.entry.archive import collect, tar, zipped
from imagewright.entry.artifacts import bring, destination, os_type_of, with_prelude


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """A folder as a build leaves it."""
    root = tmp_path / "drop"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "app").write_text("#!/bin/sh\n")
    (root / "bin" / "app").chmod(0o755)
    (root / "app.pdb").write_text("symbols")
    (root / ".env").write_text("A=1")
    (root / "latest").symlink_to("bin/app")
    return root


def names(given: Path | str, *exclude: str) -> list[str]:
    return [each.name for each in collect(str(given), exclude)[1]]


def plan(*steps: Step, source: Source | None = None) -> Plan:
    debian = PlatformImage("Debian", "debian-12", "12-gen2", "latest")
    return Plan("web", Origin("web.json"), source or debian, MachineSpec(), steps, Validation(), Optimization(), ())


def shell(number: int, text: str, kind: Shell = Shell.SH) -> Step:
    return Step(number, f"step-{number}", "Shell", (Run(Inline(text), kind),), Origin("web.json", number))


# --- what belongs in ---


def test_a_folder_with_all_that_is_in_it(drop: Path) -> None:
    assert collect(str(drop))[0] == "drop"
    assert names(drop) == [".env", "app.pdb", "bin/app", "latest"]


def test_a_single_file(drop: Path) -> None:
    folder, entries = collect(str(drop / "app.pdb"))
    assert (folder, [each.name for each in entries]) == ("app", ["app.pdb"])


@pytest.mark.parametrize(
    ("pattern", "folder", "found"),
    [
        ("*.pdb", "drop", ["app.pdb"]),
        ("b*", "drop", ["bin/app"]),
        ("**", "drop", [".env", "app.pdb", "bin/app", "latest"]),
        ("bin/*", "bin", ["app"]),
    ],
)
def test_a_pattern(drop: Path, pattern: str, folder: str, found: list[str]) -> None:
    assert collect(f"{drop}/{pattern}")[0] == folder
    assert names(f"{drop}/{pattern}") == found


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("*.pdb", [".env", "bin/app", "latest"]),
        ("**/*.pdb", [".env", "bin/app", "latest"]),
        ("bin", [".env", "app.pdb", "latest"]),
        ("bin/", [".env", "app.pdb", "latest"]),
        ("bin/**", [".env", "app.pdb", "latest"]),
        ("./bin/app", [".env", "app.pdb", "latest"]),
    ],
)
def test_what_is_excluded(drop: Path, exclude: str, left: list[str]) -> None:
    assert names(drop, exclude) == left


def test_nothing_to_bring_is_an_error_before_any_work(tmp_path: Path, drop: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, exclude in (("empty", ()), ("missing", ()), ("*.none", ()), ("drop", ("*",))):
        with pytest.raises(OptionsError, match=r"build artifacts: there is no"):
            collect(given, exclude, tmp_path)


def test_a_link_that_leads_nowhere_is_nothing_to_bring(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OptionsError, match="there is no `one`"):
        collect("one", base=tmp_path)


def test_a_folder_name_is_safe_in_a_guest(tmp_path: Path) -> None:
    odd = tmp_path / "my $(drop); folder"
    odd.mkdir()
    (odd / "a").write_text("a")
    assert collect(str(odd))[0] == "my-drop-folder"


# --- archives ---


def test_a_folder_is_called_as_it_was_named(tmp_path: Path) -> None:
    (tmp_path / "release-17").mkdir()
    (tmp_path / "release-17" / "app").write_text("x")
    (tmp_path / "current").symlink_to("release-17")
    for given in ("current", "current/", "release-17/../current"):
        assert collect(given, base=tmp_path)[0] == "current"
    assert collect(".", base=tmp_path / "release-17")[0] == "release-17"


def test_the_same_files_are_the_same_bytes(drop: Path, tmp_path: Path) -> None:
    folder, entries = collect(str(drop))
    for pack in (tar, zipped):
        first = pack(folder, entries, tmp_path / "one")
        os.utime(drop / "app.pdb", (1, 1))
        again = pack(folder, collect(str(drop))[1], tmp_path / "two")
        assert first.sha256 == again.sha256
        assert first.path.read_bytes() == again.path.read_bytes()
        assert (first.count, first.folder) == (4, "drop")
    (drop / "app.pdb").write_text("other")
    assert tar(folder, collect(str(drop))[1], tmp_path / "three").sha256 != first.sha256


def test_tar_keeps_modes_and_links(drop: Path, tmp_path: Path) -> None:
    archive = tar(*collect(str(drop)), tmp_path / "work")
    assert archive.path.name == "drop.tar.gz"
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(["tar", "-xpzf", str(archive.path), "-C", str(out)], check=True, capture_output=True)
    assert done.stderr == b""
    assert (out / "bin" / "app").stat().st_mode & 0o777 == 0o755
    assert (out / "latest").is_symlink()
    with tarfile.open(archive.path) as packed:
        assert {member.uid for member in packed} == {0}


def test_zip_holds_what_links_lead_to(drop: Path, tmp_path: Path) -> None:
    archive = zipped(*collect(str(drop)), tmp_path / "work")
    with zipfile.ZipFile(archive.path) as packed:
        assert packed.read("latest") == b"#!/bin/sh\n"
        assert sorted(packed.namelist()) == names(drop)


def test_zip_follows_links_to_folders_once_and_leaves_out_those_that_lead_nowhere(drop: Path, tmp_path: Path) -> None:
    """As node_modules/.bin has them: zip knows no links."""
    (drop / "broken").symlink_to("nowhere")
    (drop / "tools").symlink_to("bin")
    (drop / "bin" / "up").symlink_to("..")
    archive = zipped(*collect(str(drop)), tmp_path / "work")
    with zipfile.ZipFile(archive.path) as packed:
        assert sorted(packed.namelist()) == [".env", "app.pdb", "bin/app", "latest", "tools/app"]
        assert packed.read("tools/app") == b"#!/bin/sh\n"
    assert archive.left_out == ("broken",)
    told: list[Event] = []
    bring(plan(shell(1, "dir", Shell.POWERSHELL)), str(drop), directory=tmp_path, tell=told.append)
    assert any("links that lead nowhere are left out: broken" in str(event) for event in told)


def test_folders_keep_their_modes_and_empty_ones_are_there(drop: Path, tmp_path: Path) -> None:
    (drop / "var" / "log").mkdir(parents=True)
    (drop / "var" / "log").chmod(0o1777)
    (drop / "bin").chmod(0o700)
    out = tmp_path / "out"
    out.mkdir()
    folder, entries = collect(str(drop), ("bin/app",))
    for archive in (tar(folder, collect(str(drop))[1], tmp_path / "work"), tar(folder, entries, tmp_path / "less")):
        subprocess.run(["tar", "-xpzf", str(archive.path), "-C", str(out)], check=True)
    assert (out / "var" / "log").stat().st_mode & 0o7777 == 0o1777
    assert (out / "bin").stat().st_mode & 0o7777 == 0o700
    assert "bin" not in [each.name for each in entries], "what is left of a folder by an exclusion is no empty folder"
    with zipfile.ZipFile(zipped(*collect(str(drop)), tmp_path / "zip").path) as packed:
        assert "var/log/" in packed.namelist()


def test_a_folder_that_cannot_be_read_is_named(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is too long for the system: that is refused to root too."""
    monkeypatch.chdir(drop)
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    with pytest.raises(OptionsError, match="cannot be read: File name too long"):
        collect(str(drop))


# --- steps ---


def test_linux_steps_come_first_and_leave_nothing(drop: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    given = plan(shell(1, "echo hi"))
    brought = bring(given, str(drop), directory=tmp_path / "work", tell=told.append)
    assert [(step.number, step.type, step.name) for step in brought.steps] == [
        (1, "File", "upload-build-artifacts"),
        (2, "Shell", "unpack-build-artifacts"),
        (3, "Shell", "step-1"),
        (4, "Shell", "remove-build-artifacts"),
    ]
    (upload,) = brought.steps[0].actions
    assert isinstance(upload, Upload)
    assert isinstance(upload.content, Remote)
    assert upload.destination == "/tmp/drop.tar.gz"
    assert Path(upload.content.uri).is_file()
    (note,) = told
    assert isinstance(note, Note)
    assert note.message.startswith("build artifacts: 4 files, 20 B (")
    assert note.message.endswith("to /tmp/drop, removed after the last customizer")


def test_the_linux_scripts_work(drop: Path, tmp_path: Path) -> None:
    """Run here, in a directory that stands for the guest's /tmp."""
    brought = bring(plan(), str(drop), directory=tmp_path / "work", tell=lambda event: None)
    upload, unpack, remove = (step.actions[0] for step in brought.steps)
    assert isinstance(upload, Upload)
    assert isinstance(upload.content, Remote)
    guest = tmp_path / "guest"
    guest.mkdir()
    (guest / "drop.tar.gz").write_bytes(Path(upload.content.uri).read_bytes())
    for action in (unpack, remove):
        assert isinstance(action, Run)
        assert isinstance(action.script, Inline)
        script = action.script.text.replace("/tmp/", f"{guest}/")
        subprocess.run(["sh", "-e", "-c", script], check=True)
        left = sorted(path.name for path in guest.iterdir())
        assert left == (["drop"] if action is unpack else [])
        if action is unpack:
            assert os.access(guest / "drop" / "bin" / "app", os.X_OK)


def test_windows_steps_use_the_old_tasks_places(drop: Path, tmp_path: Path) -> None:
    given = plan(shell(1, "dir", Shell.POWERSHELL))
    brought = bring(given, str(drop), directory=tmp_path / "work", tell=lambda event: None)
    mkdir, upload = brought.steps[0].actions
    assert isinstance(mkdir, Run)
    assert isinstance(upload, Upload)
    assert upload.destination == "c:\\buildartifacts\\drop.zip"
    assert [step.type for step in brought.steps] == ["File", "PowerShell", "Shell", "PowerShell"]
    assert destination("drop", OsType.WINDOWS) == "c:\\buildartifacts\\drop"


def test_they_stay_if_somebody_wants_them(drop: Path, tmp_path: Path) -> None:
    brought = bring(plan(), str(drop), directory=tmp_path, tell=lambda event: None, keep=True)
    assert [step.name for step in brought.steps] == ["upload-build-artifacts", "unpack-build-artifacts"]


def test_the_operating_system_is_what_the_plan_gives_away() -> None:
    windows = PlatformImage("MicrosoftWindowsServer", "WindowsServer", "2022", "latest")
    unknown = ManagedImage("/subscriptions/x")
    assert os_type_of(plan()) is OsType.LINUX
    assert os_type_of(plan(source=windows)) is OsType.WINDOWS
    assert os_type_of(plan(shell(1, "dir", Shell.POWERSHELL), source=unknown)) is OsType.WINDOWS
    upload = Step(1, "u", "File", (Upload(Inline("x"), "C:\\x"),), Origin(""))
    assert os_type_of(plan(upload, source=unknown)) is OsType.WINDOWS
    assert os_type_of(plan(source=unknown)) is OsType.LINUX


def test_a_script_in_front(drop: Path) -> None:
    first, second = with_prelude(plan(shell(1, "b")), "echo a\r\necho b\n", OsType.LINUX).steps
    assert first.actions == (Run(Inline("#!/bin/sh -e\necho a\necho b\n"), Shell.SH),)
    assert replace(second, number=1) == shell(1, "b")
