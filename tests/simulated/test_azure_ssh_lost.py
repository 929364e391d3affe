"""The guest's SSH server goes away, at each moment of a build: the build connects again where that is right, or it
fails as what it is, with a remedy; nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from armsim import Simulator
from armsim.faults import Fault
from armsim.simulator import Machine
from azure_world import NO_CACHE, ORIGIN, AzureWorld, script

from imagewright.core.actions import Inline, Upload
from imagewright.core.choices import Keep, Reach
from imagewright.core.events import Event, Output, PhaseStarted, Progress, StepFinished, StepKind, StepStarted
from imagewright.core.plan import Plan, Step, Validation
from imagewright.core.result import Phase
from imagewright.engine.resume import CachePolicy

HOLD = "echo now; sleep 60"
"""A script that is in its middle until its connection is cut."""


def _prints_now(event: Event) -> bool:
    return isinstance(event, Output) and event.line == "now"


def _step(word: type[StepStarted | StepFinished], kind: StepKind) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, word) and event.kind is kind and event.number == 1


def _plain(world: AzureWorld) -> Plan:
    return world.plan("echo one", "echo two")


def _held(world: AzureWorld) -> Plan:
    return world.plan(HOLD, "echo never")


def _file(world: AzureWorld) -> Plan:
    send = Step(1, "file", "File", (Upload(Inline("x" * (9 << 20)), "/tmp/large", 0o644),), ORIGIN)
    return world.plan(steps=(send, script(2, "test $(stat -c %s /tmp/large) -eq 9437184")))


def _deprovisioned(world: AzureWorld) -> Plan:
    return world.plan("printf '#!/bin/sh\\necho now\\nsleep 60\\n' > /tmp/DeprovisioningScript.sh")


def _validated(*checks: str) -> Callable[[AzureWorld], Plan]:
    steps = tuple(script(number, text) for number, text in enumerate(checks, start=1))
    return lambda world: world.plan("true", validation=Validation(steps=steps))


@dataclass(frozen=True)
class Moment:
    """When it goes away (`at`, or with `request` when that is sent), and how such a build ends when it stays away
    and when it comes back at once: the kind of failure, `""` for none. `silent`: it never comes up."""

    plan: Callable[[AzureWorld], Plan]
    at: Callable[[Event], bool] = lambda _: False
    gone: str = "PlatformError"
    back: str = ""
    request: str = ""
    silent: bool = False
    policy: CachePolicy = NO_CACHE
    choices: dict[str, Any] = field(default_factory=dict)


VALIDATING = lambda event: isinstance(event, PhaseStarted) and event.phase is Phase.VALIDATING  # noqa: E731
MOMENTS = {
    "the first connection": Moment(_plain, silent=True, choices={"reach": Reach.SSH}),
    "the first connection, the agent allowed": Moment(_plain, gone="", silent=True),
    "a file is sent": Moment(_file, lambda event: isinstance(event, Progress) and event.label == "/tmp/large"),
    "in a customizer": Moment(_held, _prints_now, gone="CustomizationError", back="CustomizationError"),
    "between two steps": Moment(_plain, _step(StepFinished, StepKind.CUSTOMIZER)),
    "at a checkpoint": Moment(
        _plain, _step(StepFinished, StepKind.CUSTOMIZER), policy=CachePolicy(keep=Keep.ALL)
    ),
    "before deprovisioning": Moment(_plain, _step(StepStarted, StepKind.DEPROVISION)),
    "in deprovisioning": Moment(_deprovisioned, _prints_now, gone="CustomizationError", back="CustomizationError"),
    "at power-off": Moment(_plain, request=".*/powerOff", gone=""),
    "the validation machine's first": Moment(
        _validated("true"), VALIDATING, silent=True, choices={"reach": Reach.SSH}
    ),
    "the validation machine's first, the agent allowed": Moment(
        _validated("true"), VALIDATING, gone="", silent=True
    ),
    "in a validator": Moment(_validated(HOLD), _prints_now, gone="ValidationError", back="ValidationError"),
    "between two validators": Moment(_validated("true", "true"), _step(StepFinished, StepKind.VALIDATOR)),
}  # fmt: skip
CASES = [(name, back) for name, moment in MOMENTS.items() for back in (False, True) if not (moment.silent and back)]


class Cut(list[Event]):
    """The events of a build; the moment comes once."""

    def __init__(self, moment: Moment, world: AzureWorld, *, back: bool) -> None:
        super().__init__()
        self._moment = moment
        self._world = world
        self._back = back
        self.times = 0

    def append(self, event: Event) -> None:
        super().append(event)
        if not self.times and self._moment.at(event):
            self.now()

    def now(self) -> None:
        self.times += 1
        if self._moment.silent:
            self._world.simulator.cloud.answering = False
            return
        (machine,) = _running(self._world.simulator)
        machine.lose_ssh()
        if self._back:
            machine.regain_ssh()


def _running(simulator: Simulator) -> list[Machine]:
    return [each for each in simulator.machines() if "sandbox" in each.resource.state and each.sandbox.alive]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagewright.communicators.connection.RECONNECT_SECONDS", 2.0)
    for name in ("SSH_SECONDS", "AUTO_SECONDS"):
        monkeypatch.setattr(f"imagewright.platforms.azure.way.{name}", 2.0)


@pytest.mark.parametrize(("name", "back"), CASES, ids=[f"{name}{', back' * back}" for name, back in CASES])
def test_the_ssh_server_goes_away(world: AzureWorld, name: str, back: bool) -> None:
    moment = MOMENTS[name]
    cut = world.events = Cut(moment, world, back=back)
    if moment.request:
        world.simulator.faults.add(Fault(moment.request, "POST", then=cut.now))
    elif moment.silent and moment.plan is _plain:
        cut.now()
    result = world.build(moment.plan(world), moment.policy, **moment.choices)
    assert cut.times == 1, result.failure
    failure = result.failure
    assert (failure.kind if failure else "") == (moment.back if back else moment.gone), failure
    if failure is not None:
        assert "SSH" in failure.hint or "--reach agent" in failure.hint, failure
    assert result.left_behind == ()
    assert world.left() == {each.artifact_id for each in result.run_outputs} | world.kept()
