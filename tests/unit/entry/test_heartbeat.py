from __future__ import annotations

import threading

from manual_clock import ManualClock

from imagewright.core.events import (
    Event,
    Note,
    Output,
    PhaseStarted,
    StepFinished,
    StepKind,
    StepOutcome,
    StepStarted,
)
from imagewright.core.result import Phase
from imagewright.entry.heartbeat import Pulse, beating


def test_silence_is_broken_with_what_still_runs() -> None:
    told: list[Event] = []
    clock = ManualClock()
    pulse = Pulse(told.append, clock, quiet=60.0)
    pulse(PhaseStarted(Phase.BUILDING))
    clock.wait(59)
    pulse.look()
    assert told == []
    clock.wait(1)
    pulse.look()
    assert told == [Note("Building still runs, for 1 min 00 s now")]
    pulse(StepStarted(StepKind.CUSTOMIZER, 2, 3, "packages", "Shell"))
    clock.wait(50)
    pulse(Output("working"))
    clock.wait(50)
    pulse.look()
    assert len(told) == 1
    clock.wait(30)
    pulse.look()
    assert told[1:] == [Note("step 2/3 Shell packages still runs, for 2 min 10 s now")]
    pulse(StepFinished(StepKind.CUSTOMIZER, 2, 3, "packages", "Shell", StepOutcome.RAN, 1.0))
    clock.wait(60)
    pulse.look()
    assert told[2:] == [Note("the build still runs, for 1 min 00 s now")]


def test_it_looks_while_the_build_runs_and_ends_with_it() -> None:
    looked = threading.Event()

    class Seen(Pulse):
        def look(self) -> None:
            looked.set()

    with beating(Seen(lambda event: None, ManualClock()), every=0.001):
        assert looked.wait(10)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
