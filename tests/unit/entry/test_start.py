"""A signal while the process still imports: one line and exit code 130, on the way to every entry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagewright.core.errors import CancelledError
from imagewright.entry.start import CANCELLED

SIGNALS_ITSELF = """
import os, signal, sys

class Moment:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["MOMENT"]:
            os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))

sys.meta_path.insert(0, Moment())
"""

GITHUB = ("imagewright.entry.start", "github", "build")
AZURE = ("imagewright.entry.start", "azure-pipelines", "cleanup")
COMMAND_LINE = ("imagewright", "version")


@pytest.fixture
def python_path(tmp_path: Path) -> str:
    """Makes every Python that has it signal itself when the module MOMENT is looked for."""
    (tmp_path / "sitecustomize.py").write_text(SIGNALS_ITSELF)
    return str(tmp_path)


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("entry", "moment"),
    [
        (GITHUB, "imagewright.entry.pipeline"),
        (GITHUB, "imagewright.core.errors"),
        (GITHUB, "imagewright.entry.github"),
        (AZURE, "imagewright.options"),
        (AZURE, "imagewright.entry.azure_pipelines"),
        (COMMAND_LINE, "imagewright.entry.cli"),
        (COMMAND_LINE, "imagewright.entry.signals"),
    ],
)
def test_a_signal_during_imports_is_one_line(
    entry: tuple[str, ...], moment: str, signal: str, python_path: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": python_path, "MOMENT": moment, "SIGNAL": signal}
    done = subprocess.run(
        [sys.executable, "-P", "-m", *entry],
        check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"cancelled by {signal}\n")


SIGNALS_ITSELF_AT_ITS_END = """
import os, signal

class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
        kill(pid, number)

last = Last()
"""


def test_a_signal_while_python_ends_leaves_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SIGNALS_ITSELF_AT_ITS_END)
    done = subprocess.run(
        [sys.executable, "-P", "-m", *COMMAND_LINE],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_it_ends_as_a_cancelled_build_does() -> None:
    assert CancelledError.exit_code == CANCELLED
