"""Makes the simulator importable as `armsim` and gives tests one with the real SDK clients on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from armsim import Simulator
from azure_world import AzureWorld
from command_line import CommandLine
from sdk import Sdk


@pytest.fixture
def start() -> Iterator[Callable[..., Simulator]]:
    """Start a simulator with any arguments; it ends with the test."""
    started: list[Simulator] = []

    def make(*arguments: Any, **options: Any) -> Simulator:
        simulator = Simulator(*arguments, **options).__enter__()
        started.append(simulator)
        return simulator

    yield make
    for simulator in started:
        simulator.close()
    assert [text for simulator in started for text in simulator.mistakes] == []


@pytest.fixture
def simulator(start: Callable[..., Simulator]) -> Simulator:
    """Immediate, with real guests."""
    return start()


@pytest.fixture
def sdk(simulator: Simulator) -> Iterator[Sdk]:
    with Sdk(simulator) as clients:
        yield clients


@pytest.fixture
def world(simulator: Simulator, sdk: Sdk, tmp_path: Path) -> AzureWorld:
    return AzureWorld(simulator, tmp_path, sdk)


@pytest.fixture
def line(simulator: Simulator, tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(simulator, tmp_path)
    yield made
    made.close()
