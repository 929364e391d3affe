"""A whole platform in memory, with state: machines that exist, checkpoints that are kept, disks that came out.

Its guests understand a small language, one word a line, and pass over every other line of a script:

    say TEXT      print TEXT            fail CODE     end with CODE
    wait SECONDS  let time pass         signal NAME   send this process a signal
    crash         raise something that nobody expects

What exists is kept by home directory: a later build in the same process finds the checkpoints of an earlier one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagewright.core.actions import InstallUpdates, Reboot, Run
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic, DistributionError, PlatformError
from imagewright.core.events import Emit, Progress, Stream
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import (
    ExactSource,
    Generation,
    MachineSpec,
    ManagedImageTarget,
    OsType,
    Plan,
    SharedImageTarget,
    Source,
    Target,
    VhdTarget,
)
from imagewright.core.ports import SOURCE_TAG, CacheLimits, Kept, OutputSink
from imagewright.core.result import RunOutput
from imagewright.platforms import PLATFORMS, Entry, Settings

MIB = 1 << 20


@dataclass
class World:
    """All there is of one platform. `stubborn` kinds refuse to be deleted, `unwritable` targets to be written,
    and with `verdict` among them the facts that `mark` keeps; `endless` ones are never written to the end."""

    machines: set[str] = field(default_factory=set)
    checkpoints: dict[str, Kept] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    unwritable: set[str] = field(default_factory=set)
    endless: set[str] = field(default_factory=set)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    """The tags of the newest image, by the id of a managed image or of an image definition."""
    version: str = "1.2.3"
    disk: Disk | None = None
    """What every machine is captured as, where bytes are wanted."""


WORLDS: dict[Path, World] = {}


def world(home: Path) -> World:
    return WORLDS.setdefault(home, World())


def entry(create: str = "platform") -> Entry:
    """What stands in `PLATFORMS` for a platform of this file, with the whereabouts of the local one."""
    return replace(PLATFORMS["local"], create=f"memory_platform:{create}")


def platform(settings: Settings, emit: Emit, clock: Clock) -> MemoryPlatform:
    """The factory that `entry` names."""
    return MemoryPlatform(settings, emit, clock, world(settings.home))


class MemoryGuest:
    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        text = content.decode()
        self._world.ran.append(text)
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            match word:
                case "say":
                    output(rest, Stream.STDOUT)
                case "wait":
                    deadline.wait(float(rest))
                case "signal":
                    os.kill(os.getpid(), getattr(signal, rest))
                case "crash":
                    raise KeyError(rest or "crash")
                case "fail":
                    return int(rest)
        return 0

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        self._world.uploaded[destination] = content.read_bytes() if isinstance(content, Path) else content

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        deadline.check()

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        deadline.check()

    def close(self) -> None: ...


class MemoryMachine:
    def __init__(self, world: World, owned: Owned, clock: Clock, source: ExactSource | Disk) -> None:
        self._world = world
        self._owned = owned
        self._clock = clock
        self._source = source
        self.guest = MemoryGuest(world, clock)

    def checkpoint(self, key: str, note: str) -> None:
        now = self._clock.now()
        self._world.checkpoints[key] = Kept(key, "checkpoint", note, 64 * MIB, now, now)

    def capture(self, key: str, deadline: Deadline) -> Disk:
        made = Disk(f"memory:{self._owned.id}", "raw", 1024 * MIB, OsType.LINUX, Generation.V2)
        disk = replace(self._world.disk or made, identity=key and f"{key}.{fresh_name(6)}")
        if key:
            self._world.disks[key] = disk
        return disk

    def end(self) -> None:
        self._world.machines.discard(self._owned.id)

    def access(self) -> str:
        return f"ssh {self._owned.id}"

    def keep(self) -> None: ...


class MemoryCache:
    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def list(self) -> Sequence[Kept]:
        return tuple(self._world.checkpoints.values())

    def prune(self, limits: CacheLimits) -> Sequence[Kept]:
        oldest = sorted(self._world.checkpoints.values(), key=lambda kept: kept.used)
        size, gone = sum(kept.size for kept in oldest), []
        for kept in oldest:
            if limits.size is None or size <= limits.size:
                break
            size -= kept.size
            gone.append(self._world.checkpoints.pop(kept.key))
        return tuple(gone)

    def mark(self, key: str, note: str) -> None:
        if "verdict" in self._world.unwritable:
            raise PlatformError("no space is left", hint="free some")
        now = self._clock.now()
        self._world.checkpoints[key] = Kept(key, "verdict", note, 0, now, now)

    def has(self, key: str) -> bool:
        return key in self._world.checkpoints or key in self._world.disks


class MemoryPlatform:
    name = "memory"

    def __init__(self, settings: Settings, emit: Emit, clock: Clock, world: World) -> None:
        self._settings = settings
        self._emit = emit
        self._clock = clock
        self._world = world
        self.cache = MemoryCache(world, clock)

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        return tuple(self._world.diagnostics)

    def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
        self._emit(Progress("source", 100 * MIB, 100 * MIB))
        return ExactSource(
            source,
            self._world.version,
            f"memory:{source}:{self._world.version}",
            OsType.LINUX,
            Generation.V2,
            "x64",
            "memory",
            1024 * MIB,
        )

    def machine_facts(self, source: ExactSource, machine: MachineSpec) -> tuple[tuple[str, str], ...]:
        return (("architecture", source.architecture),)

    def boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> MemoryMachine:
        owned = Owned(self.name, "machine", f"machine-{len(self._world.machines) + 1}")
        owner.own(owned)
        self._world.machines.add(owned.id)
        return MemoryMachine(self._world, owned, self._clock, source)

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> MemoryMachine | None:
        if key not in self._world.checkpoints:
            return None
        source = self.resolve(plan.source, plan, deadline)
        return self.boot(source, plan, owner, deadline)

    def captured(self, key: str) -> Disk | None:
        return self._world.disks.get(key)

    @contextmanager
    def using(self, keys: Sequence[str]) -> Iterator[None]:
        yield

    def place_of(self, target: VhdTarget, plan: Plan) -> str:
        return f"{self._settings.output}/{target.run_output_name}.vhd"

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        if target.run_output_name in self._world.unwritable:
            raise DistributionError(f"{target.run_output_name} cannot be written", hint="try another place")
        if target.run_output_name in self._world.endless:
            deadline.wait(float("inf"))
        match target:
            case VhdTarget():
                file = Path(self.place_of(target, plan))
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(disk.location)
                return RunOutput(target.run_output_name, artifact_uri=str(file))
            case _:
                self._world.images[_place(target)] = dict(target.tags)
                return RunOutput(target.run_output_name, artifact_id=f"/memory/{target.run_output_name}")

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        if isinstance(target, VhdTarget):
            return None
        return self._world.images.get(_place(target), {}).get(SOURCE_TAG, "")

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        if owned.kind in self._world.stubborn:
            raise PlatformError(f"{owned.id} is locked", hint="unlock it")
        self._world.machines.discard(owned.id)


def _place(target: ManagedImageTarget | SharedImageTarget) -> str:
    return target.image_id if isinstance(target, ManagedImageTarget) else target.gallery_image_id


def cancelled(settings: Settings, emit: Emit, clock: Clock) -> MemoryPlatform:
    """A platform during whose making a signal comes."""
    os.kill(os.getpid(), signal.SIGINT)
    return platform(settings, emit, clock)
