"""The interfaces between the engine and the world. Adapters satisfy them; nobody inherits from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from imagewright.core.actions import InstallUpdates, Reboot, Remote, Run, Staged
from imagewright.core.clock import Deadline
from imagewright.core.digest import digest
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic
from imagewright.core.events import Stream
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, MachineSpec, Plan, Source, Target, VhdTarget
from imagewright.core.result import RunOutput

OutputSink = Callable[[str, Stream], None]
"""Receives one line of guest output, without its line end, as it comes."""


class Staging(Protocol):
    """The storage that hands artifacts to the guest. Content is addressed by its SHA-256."""

    def fetch(self, remote: Remote, deadline: Deadline) -> Staged:
        """Read `remote`, check its checksum, keep it. Raises FetchError with the URI and the reason."""
        ...

    def path(self, staged: Staged) -> Path:
        """The bytes as a file on this machine."""
        ...


class Guest(Protocol):
    """The inside of a machine, through a communicator. Raises PlatformError when the connection is lost for good."""

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        """Run the script `content` as `run` says and return its exit code."""
        ...

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        """Write a file with the rights of the build user. Raises PlatformError with the guest's reason."""
        ...

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        """Restart and return when the guest answers again."""
        ...

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None: ...

    def close(self) -> None: ...


class Machine(Protocol):
    """A build VM that runs and whose guest answers."""

    @property
    def guest(self) -> Guest: ...

    def checkpoint(self, key: str, note: str) -> None:
        """Keep the state of this moment under `key`; the machine goes on. `note` is for people (`cache list`)."""
        ...

    def capture(self, key: str, deadline: Deadline) -> Disk:
        """Power off the deprovisioned machine and hand out its disk, also kept under `key` unless that is `""`."""
        ...

    def access(self) -> str:
        """How a person reaches this machine, for `errorHandling: abort`."""
        ...

    def keep(self) -> None:
        """Leave the machine running after the build; it stays in the ledger."""
        ...


class KeptKind(StrEnum):
    """A machine to go on from, a captured disk, or the bare fact that something was so."""

    MACHINE = "machine"
    DISK = "disk"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry of the cache. `size` in bytes on disk (or billed), `expires` if it will."""

    key: str
    kind: KeptKind
    note: str
    size: int
    created: datetime
    used: datetime
    expires: datetime | None = None
    parent: str = ""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """What may stay: `size` bytes in all, nothing unused for longer than `age` seconds. None: no limit."""

    size: int | None = None
    age: float | None = None


class Cache(Protocol):
    """The checkpoints of a platform."""

    def list(self) -> Sequence[Kept]: ...

    def prune(self, limits: CacheLimits) -> Sequence[Kept]:
        """Delete what is over the limits, least recently used first, and return what was deleted."""
        ...

    def has(self, key: str) -> bool:
        """Whether something is kept under `key` and looks whole."""
        ...

    def mark(self, key: str, note: str) -> None:
        """Keep the bare fact that `key` was reached: that a disk passed its validators."""
        ...


class Platform(Protocol):
    """Where machines come from."""

    @property
    def name(self) -> str: ...

    @property
    def cache(self) -> Cache: ...

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        """What of the plan cannot be done here, before anything is created. Reads only."""
        ...

    def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
        """`latest` to an exact version, and the facts of the image. May download or bootstrap it."""
        ...

    def machine_facts(self, source: ExactSource, machine: MachineSpec) -> tuple[tuple[str, str], ...]:
        """What of the machine makes a checkpoint unusable elsewhere: counted in the first key."""
        ...

    def boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> Machine:
        """A new machine from a source, or a second one from a captured disk; its guest answers."""
        ...

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> Machine | None:
        """The machine as it was at `key`, or None when there is no usable checkpoint."""
        ...

    def captured(self, key: str) -> Disk | None:
        """The disk that was captured under `key`, if it was kept and is whole."""
        ...

    def using(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        """While this is held, nobody prunes these checkpoints."""
        ...

    def place_of(self, target: VhdTarget, plan: Plan) -> str:
        """Where a VHD without a `uri` will be written, for people. Asks nobody."""
        ...

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        """Write `disk` to `target`. Raises DistributionError; a version that exists is never overwritten."""
        ...

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        """Delete something of ours. What is gone already is no error."""
        ...


@runtime_checkable
class Publisher(Protocol):
    """Where targets are written whose disk was built by another platform."""

    @property
    def name(self) -> str: ...

    def check_targets(self, plan: Plan) -> Iterable[Diagnostic]:
        """What of the targets cannot be written from here. Asks nobody."""
        ...

    def admit(self, source: ExactSource, plan: Plan, deadline: Deadline) -> None:
        """Look at each target. Raises DistributionError where an image of `source` could not be written."""
        ...

    def place_of(self, target: VhdTarget, plan: Plan) -> str: ...

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput: ...

    def delete(self, owned: Owned, deadline: Deadline) -> None: ...


@runtime_checkable
class Begins(Protocol):
    """A platform whose deletions are requests that end by themselves."""

    def begin_deletions(self, owned: Sequence[Owned], deadline: Deadline) -> None:
        """Send what can go at once; with seconds left that is all of it. Raises nothing: `delete` is called for each
        later, and says what came of it."""
        ...


@runtime_checkable
class Guards(Protocol):
    """A platform whose captured disks stand on what others may change."""

    def guarded(self, deadline: Deadline) -> Deadline:
        """`deadline`, whose checks raise also when that was changed."""
        ...


@runtime_checkable
class Closes(Protocol):
    """A platform that holds connections."""

    def close(self) -> None: ...


@runtime_checkable
class Ends(Protocol):
    """A machine that takes from this host while it runs, and can be ended before its build is over."""

    def end(self) -> None: ...


SOURCE_TAG = "imagewright-source"
"""The tag of an image that names the identity of the source it was built from."""

LONGEST_TAG = 256
"""Characters that Azure takes as the value of a tag."""


def source_tag(source: ExactSource) -> str:
    """The value of `SOURCE_TAG`: the source's identity, or a digest of one that is too long for a tag."""
    if len(source.identity) <= LONGEST_TAG:
        return source.identity
    return digest("imagewright.source-tag.v1", source.identity)


@runtime_checkable
class Remembers(Protocol):
    """A platform that can look up what an image of an earlier build was made from."""

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        """The `SOURCE_TAG` of the newest image at `target`, `""` where there is none; None: it cannot be told."""
        ...
