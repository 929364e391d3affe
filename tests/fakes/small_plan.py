"""Plans of a few steps, in the language of memory_platform, and one call that builds them there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manual_clock import ManualClock
from memory_platform import MemoryPlatform, World

from imagewright.core.actions import Action, Inline, Run, Shell
from imagewright.core.choices import Keep
from imagewright.core.events import Event, Output
from imagewright.core.origin import Origin
from imagewright.core.plan import MachineSpec, Optimization, Plan, PlatformImage, Step, Validation, VhdTarget
from imagewright.core.result import BuildResult
from imagewright.engine.ledger import Ledger
from imagewright.engine.resume import CachePolicy
from imagewright.engine.run import build
from imagewright.platforms import Settings
from imagewright.staging.directory import DirectoryStaging


def script(text: str) -> Run:
    return Run(Inline(text), Shell.SH)


def step(number: int, *actions: Action | str, name: str = "") -> Step:
    done = tuple(script(action) if isinstance(action, str) else action for action in actions)
    origin = Origin("web.json", 10 + number, 5, f"/properties/customize/{number - 1}")
    return Step(number, name or f"step{number}", "Shell", done, origin)


def small_plan(*scripts: Action | str, validators: tuple[str, ...] = (), **changes: Any) -> Plan:
    """A plan with one step for each script; `changes` are fields of `Plan` or of its `Validation`."""
    wanted = {
        name: changes.pop(name) for name in ("source_only", "continue_distribute_on_failure") if name in changes
    }
    plan = Plan(
        name="web",
        origin=Origin("web.json", 1, 1),
        source=PlatformImage("Debian", "debian-12", "12-gen2", "latest"),
        machine=MachineSpec(),
        steps=tuple(step(number, one) for number, one in enumerate(scripts, start=1)),
        validation=Validation(tuple(step(number, one) for number, one in enumerate(validators, start=1)), **wanted),
        optimization=Optimization(),
        targets=(VhdTarget("web-vhd", origin=Origin("web.json", 40, 7)),),
    )
    return dataclasses.replace(plan, **changes)


@dataclass
class Builds:
    """Builds plans one after the other in one world."""

    folder: Path
    world: World = field(default_factory=World)
    clock: ManualClock = field(default_factory=ManualClock)
    platform: type[MemoryPlatform] = MemoryPlatform
    events: list[Event] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    def __call__(self, plan: Plan, *, keep: Keep = Keep.ALL, reuse: bool = True) -> BuildResult:
        self.events.clear()
        settings = Settings(home=self.folder, work=self.folder, output=self.folder / "out")
        ledger = Ledger(self.ledger)
        try:
            return build(
                plan,
                platform=self.platform(settings, self.events.append, self.clock, self.world),
                staging=DirectoryStaging(self.folder / "staging"),
                ledger=ledger,
                emit=self.events.append,
                clock=self.clock,
                policy=CachePolicy(reuse=reuse, keep=keep),
                build_id="test",
            )
        finally:
            ledger.close()

    @property
    def said(self) -> list[str]:
        """What the guest said during the last build."""
        return [event.line for event in self.events if isinstance(event, Output)]
