from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagewright.core.errors import CancelledError, PlatformError
from imagewright.disks import tools
from imagewright.platforms.local import debian
from imagewright.platforms.local.debian_mirror import Mirror

NEEDED = ("mmdebstrap", "mke2fs", "sfdisk", "mkfs.vfat", "mcopy", "mmd", "qemu-img")
needs_tools = pytest.mark.skipif(
    any(tools.which(name) is None for name in NEEDED), reason="needs mmdebstrap and others"
)


def say_nothing(_: str) -> None:
    pass


def test_identifiers_are_the_same_each_time_and_differ_from_each_other() -> None:
    names = ("disk", "root", "esp", "core", "vfat", "p1")
    assert len({debian.BOOKWORM.uuid(name) for name in names}) == len(names)
    assert debian.BOOKWORM.uuid("root") == debian.DebianRelease("bookworm", "12").uuid("root")
    assert debian.BOOKWORM.uuid("root") != debian.DebianRelease("trixie", "13").uuid("root")


@needs_tools
def test_a_mirror_that_is_not_there_is_said_with_the_way_out(tmp_path: Path) -> None:
    mirror = Mirror("http://127.0.0.1:9/debian", "http://127.0.0.1:9/security")
    with pytest.raises(PlatformError) as caught:
        debian.bootstrap(tmp_path / "d.qcow2", debian.BOOKWORM, tmp_path / "work", say_nothing, mirror=mirror)
    assert "Debian was not bootstrapped: mmdebstrap failed" in caught.value.message
    assert "127.0.0.1:9" in caught.value.message
    assert "IMAGEWRIGHT_DEBIAN_MIRROR" in caught.value.hint
    assert list((tmp_path / "work").iterdir()) == []
    assert not (tmp_path / "d.qcow2").exists()


@needs_tools
def test_a_cancel_leaves_nothing(tmp_path: Path) -> None:
    def cancel() -> None:
        raise CancelledError("the build was cancelled")

    with pytest.raises(CancelledError):
        debian.bootstrap(tmp_path / "d.qcow2", debian.BOOKWORM, tmp_path / "work", say_nothing, check=cancel)
    assert list((tmp_path / "work").iterdir()) == []


def test_missing_tools_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(PlatformError, match="without mmdebstrap, mke2fs, sfdisk") as caught:
        debian.bootstrap(tmp_path / "d.qcow2", debian.BOOKWORM, tmp_path / "work", say_nothing)
    assert caught.value.hint.startswith("apt-get install")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("E: no entry in /etc/subuid for me", "--add-subuids"),
        ("E: unable to use unshare mode", "--add-subuids"),
        ("Err:1 Could not resolve 'mirror'", "IMAGEWRIGHT_DEBIAN_MIRROR"),
        ("W: GPG error: NO_PUBKEY 123", "debian-archive-keyring"),
        ("cannot write: No space left on device", "free some space"),
    ],
)
def test_the_usual_failures_have_a_hint(
    said: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: list[str], **_: object) -> tuple[str, ...]:
        real = ["sh", "-c", f'echo "{said}"; exit 25'] if "mmdebstrap" in argv else ["true"]
        return run(real)

    run = tools.run
    monkeypatch.setattr(tools, "run", fail)
    monkeypatch.setattr(tools, "which", lambda *_: "/bin/true")
    with pytest.raises(PlatformError) as caught:
        debian.bootstrap(tmp_path / "d.qcow2", debian.BOOKWORM, tmp_path / "work", say_nothing, mirror=Mirror())
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_full_disk_is_not_blamed_on_the_mirror() -> None:
    tail = ("E: Failed to fetch http://mirror/Packages  Error writing to file - write (28: No space left on device)",)
    full = tools.ToolError("mmdebstrap failed", code=1, tail=tail, hint="the disk of this machine is full")
    lost = tools.ToolError("mmdebstrap failed", code=1, tail=("E: Failed to fetch http://mirror/Packages  404",))
    assert debian._explained(full, Mirror("http://mirror")).hint == "the disk of this machine is full"
    assert "IMAGEWRIGHT_DEBIAN_MIRROR" in debian._explained(lost, Mirror("http://mirror")).hint
