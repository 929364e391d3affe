from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import BuildTimeoutError, PlatformError
from imagewright.disks import tools


def test_lines_come_one_by_one_whatever_ends_them() -> None:
    seen: list[str] = []
    tail = tools.run(["printf", r"a\rb\r\nc\n\nd"], on_line=seen.append)
    assert seen == ["a", "b", "c", "d"]
    assert tail == ("a", "b", "c", "d")


def test_bytes_that_are_no_text_do_not_hurt() -> None:
    assert tools.run(["printf", r"\377x\n"]) == ("\ufffdx",)


def test_only_the_last_lines_are_kept() -> None:
    assert tools.run(["seq", "100000"], keep=2) == ("99999", "100000")


def test_an_endless_line_does_not_fill_the_memory() -> None:
    (line,) = tools.run(["head", "-c", "1000000", "/dev/zero"])
    assert len(line) <= 1 << 16


def test_a_failure_has_the_code_and_the_last_words() -> None:
    with pytest.raises(tools.ToolError) as caught:
        tools.run(["sh", "-c", "echo one; echo two >&2; exit 3"])
    assert caught.value.code == 3
    assert caught.value.tail == ("one", "two")
    assert caught.value.message == "sh failed with exit code 3:\n  one\n  two"


def test_how_far_a_tool_was_is_no_word_of_why_it_failed() -> None:
    seen: list[str] = []
    with pytest.raises(tools.ToolError) as caught:
        tools.run(
            ["sh", "-c", r"printf '    (0.00/100%%)\r    (2.24/100%%)\r'; echo No space left on device; exit 1"],
            on_line=seen.append,
        )
    assert caught.value.tail == ("No space left on device",)
    assert "the disk of this machine is full" in caught.value.hint
    assert len(seen) == 3


def test_a_tool_that_fails_without_a_word_gets_a_hint() -> None:
    with pytest.raises(tools.ToolError) as caught:
        tools.run(["false"])
    assert "look at the free space" in caught.value.hint


def test_a_signal_is_told_as_one() -> None:
    with pytest.raises(tools.ToolError, match=r"sh was killed by signal 9$"):
        tools.run(["sh", "-c", "kill -9 $$"])


def test_a_missing_tool_is_named_with_its_package() -> None:
    with pytest.raises(PlatformError, match="qemu-img-of-nowhere is not installed"):
        tools.run(["qemu-img-of-nowhere"])


def test_a_deadline_ends_the_tool_and_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_GRACE", 0.5)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    deadline = Deadline.after(SystemClock(), 0.5, "this")
    with pytest.raises(BuildTimeoutError):
        tools.run(["sh", "-c", f"exec 3>{fifo}; trap '' TERM; sleep 300 & wait"], check=deadline.check)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as held:
        assert held.read() == b""  # nobody holds the other end any more


def test_the_tool_dies_with_us(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    tool = f"exec 3>{fifo}; echo ready >&3; sleep 300 & wait"
    code = "import sys; from imagewright.disks import tools; tools.run(['sh', '-c', sys.argv[1]])"
    ours = subprocess.Popen([sys.executable, "-c", code, tool])
    with fifo.open("rb") as held:
        assert held.readline() == b"ready\n"
        ours.kill()
        ours.wait()
        assert held.read() == b""  # the tool and its child, which held the other end, are gone


def test_standard_input_reaches_the_tool(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    with (tmp_path / "in").open("rb") as file:
        assert tools.run(["cat"], stdin=file) == ("hello",)
