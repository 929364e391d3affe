"""A build that is cancelled while Azure is slow: every deletion is sent and written down before a runner kills."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from armsim import Pace, Simulator
from armsim.faults import Fault
from azure_world import AzureWorld
from command_line import CommandLine
from sdk import Sdk

from imagewright.engine.ledger import pending

SECONDS = 5.0
"""From the signal to a written ledger and sent deletions."""

VHD = {"distribute": [{"type": "VHD", "runOutputName": "vhd"}]}

MOMENTS = {
    "booting": (".*/virtualMachines/[^/]*", "PUT", {}, {"DELETE .*/IT_[^/]*"}),
    "a step": ("", "", {}, {"DELETE .*/IT_[^/]*"}),
    "publishing": (".*/versions/[^/]*", "PUT", {}, {"DELETE .*/IT_[^/]*", "DELETE .*/versions/[^/]*"}),
    "copying": (".*/beginGetAccess", "POST", VHD, {"DELETE .*/IT_[^/]*", "POST .*/endGetAccess"}),
}


@pytest.fixture
def simulator(start: Callable[..., Simulator]) -> Simulator:
    return start(Pace(speed=20))


@pytest.mark.parametrize("moment", MOMENTS)
def test_all_deletions_are_sent_within_seconds(
    simulator: Simulator, sdk: Sdk, line: CommandLine, tmp_path: Path, moment: str
) -> None:
    world = AzureWorld(simulator, tmp_path, sdk)
    path, method, more, sent = MOMENTS[moment]
    signalled: list[float] = []

    def interrupt() -> None:
        line.started.wait(10)
        signalled.append(time.monotonic())
        os.kill(line.pid, signal.SIGINT)

    if path:
        simulator.faults.add(Fault(path, method, times=1, then=interrupt))
    inline = "echo here" if path else "echo here; sleep 60"
    running = line.start("build", str(line.template(world.definition, inline=inline, **more)), "--no-cache")
    if not path:
        pause = threading.Event()
        while "here" not in running.text():
            pause.wait(0.05)
        interrupt()
    code = running.wait()
    took = time.monotonic() - signalled[0]
    assert code == 130, running.text()
    asked = [f"{request.method} {request.path}" for request in simulator.requests]
    assert [each for each in sent if not any(re.fullmatch(each, one) for one in asked)] == [], running.text()
    (ledger,) = line.home.glob("builds/*/ledger.jsonl")
    assert any(owned.kind == "resource-group" for owned in pending(ledger)), "nobody has seen it gone yet"
    assert took < SECONDS * 1.5, running.text()
    simulator.settle()
    code, said = line.run("cleanup")
    assert code == 0, said
    copied = world.published() if moment == "copying" else set()
    accounts = {each for each in world.left() if copied and "/storageAccounts/" in each}
    assert world.left() == copied | accounts, "a VHD that was whole before the signal was heard stays"
