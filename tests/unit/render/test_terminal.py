from __future__ import annotations

import contextlib
import io
import re

import pytest
from manual_clock import ManualClock

from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Output,
    PhaseStarted,
    Progress,
    StepFinished,
    StepKind,
    StepOutcome,
    StepStarted,
)
from imagewright.core.result import BuildResult, Phase, RunState
from imagewright.render.excerpt import Excerpts
from imagewright.render.paint import Paint
from imagewright.render.terminal import TAIL, Terminal

GIB = 1 << 30


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def seen(terminal: Terminal) -> str:
    """What stands below at this moment."""
    with terminal._console.capture() as captured:
        terminal._console.print(terminal._now())
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", captured.get())


def test_what_goes_on_is_below() -> None:
    clock = ManualClock()
    terminal = Terminal(io.StringIO(), clock, Excerpts())
    terminal(BuildStarted("id", "web", "local"))
    terminal(PhaseStarted(Phase.CUSTOMIZING))
    terminal(StepStarted(StepKind.CUSTOMIZER, 2, 3, "site", "Shell"))
    for number in range(20):
        terminal(Output(f"line {number} [bold]\x1b[2J"))
    terminal(Progress("web.vhd", GIB, 4 * GIB))
    clock.passed = 75
    text = seen(terminal)
    assert "[Customizing]" in text
    assert "step 2/3 Shell site  1:15" in text
    assert "web.vhd 25 % (1.0 GiB of 4.0 GiB)" in text
    shown = [line.strip() for line in text.splitlines() if "| line" in line]
    assert shown == [f"| line {number} [bold]" for number in range(20 - TAIL, 20)]


def test_what_is_done_is_not_below_any_more() -> None:
    terminal = Terminal(io.StringIO(), ManualClock(), Excerpts())
    terminal(PhaseStarted(Phase.DISTRIBUTING))
    terminal(StepStarted(StepKind.CUSTOMIZER, 1, 1, "site", "Shell"))
    terminal(Output("a line"))
    terminal(StepFinished(StepKind.CUSTOMIZER, 1, 1, "site", "Shell", StepOutcome.RAN, 4.0))
    terminal(Progress("web.vhd", 4, 4))
    text = seen(terminal)
    assert "a line" not in text
    assert "site" not in text
    assert "web.vhd" not in text


@pytest.mark.parametrize("color", [True, False])
def test_what_happened_stays_above(color: bool) -> None:
    out, clock = io.StringIO(), ManualClock()
    with Terminal(out, clock, Excerpts(Paint(enabled=color)), color=color) as terminal:
        terminal(BuildStarted("id", "web", "local"))
        terminal(PhaseStarted(Phase.CUSTOMIZING))
        terminal(StepFinished(StepKind.CUSTOMIZER, 1, 2, "packages", "Shell", StepOutcome.CACHED, 0.0))
        terminal(StepFinished(StepKind.CUSTOMIZER, 2, 2, "site", "Shell", StepOutcome.RAN, 4.0))
        terminal(BuildFinished(BuildResult("id", "web", "local", RunState.SUCCEEDED, seconds=4.0)))
    raw = out.getvalue()
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", raw)
    assert "step 1/2 Shell packages: cached" in text
    assert "step 2/2 Shell site: done in 4.0 s" in text
    assert text.rstrip().endswith("build of web succeeded after 4.0 s")
    assert ("\x1b[32m" in raw) is color
    assert raw.rfind("\x1b[?25h") > raw.rfind("\x1b[?25l"), "the cursor is shown again"


def test_an_error_leaves_the_terminal_as_it_was() -> None:
    out = io.StringIO()
    terminal = Terminal(out, ManualClock(), Excerpts())
    with contextlib.suppress(KeyError), terminal:
        terminal(PhaseStarted(Phase.BUILDING))
        raise KeyError
    assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")
