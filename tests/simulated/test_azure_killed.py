"""Killed after any request of a build, whatever kind of build it is: `cleanup` leaves nothing.

What is killed is chosen by the shape of the request and how often it came before, not by its number: requests that
are sent at once change places, and every shape that an undisturbed build sends has to have its turn.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from armsim import Pace, Simulator
from armsim.faults import Fault
from azure_world import AzureWorld
from command_line import CommandLine
from sdk import Sdk
from shapes import Shape, blobs, counted


@dataclass(frozen=True)
class Scenario:
    """A kind of build. `first` is built once before, undisturbed; `body` is given the number of the build."""

    body: Callable[[AzureWorld, int], dict[str, Any]] = lambda _world, _number: {}
    options: tuple[str, ...] = ("--no-cache",)
    group: str = ""
    first: bool = False
    pace: Pace = Pace()

    def times(self, shape: Shape, times: int) -> int:
        """How many of the requests of a shape are killed: all; of looks, which change nothing, the first two; where
        operations last, one."""
        most = 1 if self.pace != Pace() else 2 if shape.method in ("GET", "HEAD") else times
        return min(times, most)


def _checked(_world: AzureWorld, _number: int) -> dict[str, Any]:
    return {"validate": {"inVMValidations": [{"type": "Shell", "name": "check", "inline": ["true"]}]}}


def _three(world: AzureWorld, number: int) -> dict[str, Any]:
    region = [{"name": "westus2"}]
    image = world.managed(f"web-{number}").image_id
    return {
        "distribute": [
            {"type": "SharedImage", "runOutputName": "a", "galleryImageId": world.far, "targetRegions": region},
            {"type": "ManagedImage", "runOutputName": "b", "imageId": image, "location": "eastus"},
            {"type": "VHD", "runOutputName": "c"},
        ]
    }


def _shared(world: AzureWorld, _number: int) -> dict[str, Any]:
    return {"stagingResourceGroup": f"/subscriptions/{world.simulator.subscription}/resourceGroups/mine"}


def _resumed(_world: AzureWorld, number: int) -> dict[str, Any]:
    steps = ("echo the same", f"echo {number}")
    return {"customize": [{"type": "Shell", "name": f"s{at}", "inline": [each]} for at, each in enumerate(steps)]}


SCENARIOS = {
    "one gallery": Scenario(),
    "operations that last": Scenario(pace=Pace(polls=1)),
    "cached and validated": Scenario(_checked, options=()),
    "resumed": Scenario(_resumed, options=("--cache", "all"), first=True),
    "three targets and a copy": Scenario(_three, first=True),
    "through the agent": Scenario(options=("--no-cache", "--reach", "agent")),
    "somebody's staging group": Scenario(_shared, group="mine"),
}


class Killer:
    """Builds of one scenario, each from the same beginning."""

    def __init__(self, scenario: Scenario, world: AzureWorld, line: CommandLine) -> None:
        self._scenario = scenario
        self._world = world
        self._line = line
        self._number = 0
        self._whole: set[str] = set()

    def build(self) -> tuple[int, str]:
        self._number += 1
        body = self._scenario.body(self._world, self._number)
        template = self._line.template(self._world.definition, **body)
        return self._line.run("build", str(template), *self._scenario.options)

    def undisturbed(self) -> tuple[Counter[Shape], Counter[Shape]]:
        """The requests of a whole build to ARM and to the data plane."""
        before = len(self._world.simulator.requests), len(self._world.simulator.blob_requests)
        code, said = self.build()
        assert code == 0, said
        arm = counted(self._world.simulator.requests[before[0] :])
        data = blobs(self._world.simulator.blob_requests[before[1] :])
        assert self._world.left() == self._world.published(), said
        self._world.forget()
        return arm, data

    def killed(self, where: str, shape: Shape, after: int) -> bool:
        """Kill a build at a request and clean up; whether the build came to that request."""
        fault = self._world.simulator.faults.add(
            Fault(shape.pattern, shape.method, after=after, then=self._kill, where=where)
        )
        code, said = self.build()
        self._world.simulator.faults.clear()
        if not fault.struck:
            assert code == 0, said
            self._world.forget()
            return False
        assert code == -signal.SIGKILL, (shape, after, said)
        code, said = self._line.run("cleanup")
        assert code == 0, (shape, after, said)
        left = self._world.left()
        allowed = self._whole
        assert left <= allowed, (shape, after, sorted(left - allowed), said)
        self._world.forget()
        return True

    def _kill(self) -> None:
        """What is whole at this moment has come out of the build; whatever Azure ends later has not."""
        self._line.kill()
        self._whole = self._world.published()


@pytest.fixture
def command_lines() -> Iterator[Callable[[Simulator, Path], CommandLine]]:
    made: list[CommandLine] = []

    def make(simulator: Simulator, folder: Path) -> CommandLine:
        made.append(CommandLine(simulator, folder))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_after_every_single_request(
    start: Callable[..., Simulator],
    command_lines: Callable[[Simulator, Path], CommandLine],
    tmp_path: Path,
    name: str,
) -> None:
    scenario = SCENARIOS[name]
    simulator = start(scenario.pace)
    line = command_lines(simulator, tmp_path)
    with Sdk(simulator) as sdk:
        world = AzureWorld(simulator, tmp_path, sdk)
        world.far = world.gallery("far", location="westus2")
        if scenario.group:
            sdk.resource.resource_groups.create_or_update(scenario.group, {"location": "eastus"})
        killer = Killer(scenario, world, line)
        if scenario.first:
            code, said = killer.build()
            assert code == 0, said
        world.mark()
        arm, data = killer.undisturbed()
        struck = {
            (where, shape)
            for where, shapes in (("arm", arm), ("blob", data))
            for shape, times in shapes.items()
            for after in range(scenario.times(shape, times))
            if killer.killed(where, shape, after)
        }
        assert struck == {("arm", each) for each in arm} | {("blob", each) for each in data}
