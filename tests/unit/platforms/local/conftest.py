"""A QEMU that is none, and a clock that stands still beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from manual_clock import ManualClock
from scripted_qemu import ScriptedQemu


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def qemu(tmp_path: Path, clock: ManualClock) -> Iterator[ScriptedQemu]:
    made = ScriptedQemu(tmp_path, clock)
    yield made
    made.end()
