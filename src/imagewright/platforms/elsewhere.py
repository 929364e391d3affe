"""A build on one platform whose targets are written by another: built on this machine, published to Azure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from imagewright.core.clock import Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, MachineSpec, Plan, Source, Target, VhdTarget
from imagewright.core.ports import Begins, Cache, Closes, Guards, Machine, Platform, Publisher, Remembers
from imagewright.core.result import RunOutput


class Elsewhere:
    """Satisfies core.ports.Platform: what has to do with targets is done by `publisher`, the rest by `builder`."""

    def __init__(self, builder: Platform, publisher: Publisher) -> None:
        self._builder = builder
        self._publisher = publisher

    @property
    def name(self) -> str:
        return self._builder.name

    @property
    def cache(self) -> Cache:
        return self._builder.cache

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        yield from self._builder.check(replace(plan, targets=()))  # those are not its own
        yield from self._publisher.check_targets(plan)

    def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
        exact = self._builder.resolve(source, plan, deadline)
        self._publisher.admit(exact, plan, deadline)
        return exact

    def machine_facts(self, source: ExactSource, machine: MachineSpec) -> tuple[tuple[str, str], ...]:
        return self._builder.machine_facts(source, machine)

    def boot(self, source: ExactSource | Disk, plan: Plan, owner: Owner, deadline: Deadline) -> Machine:
        return self._builder.boot(source, plan, owner, deadline)

    def resume(self, key: str, plan: Plan, owner: Owner, deadline: Deadline) -> Machine | None:
        return self._builder.resume(key, plan, owner, deadline)

    def captured(self, key: str) -> Disk | None:
        return self._builder.captured(key)

    def using(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        return self._builder.using(keys)

    def place_of(self, target: VhdTarget, plan: Plan) -> str:
        return self._publisher.place_of(target, plan)

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        if isinstance(self._builder, Guards):
            deadline = self._builder.guarded(deadline)
        return self._publisher.publish(disk, target, source, plan, owner, deadline)

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        """Satisfies core.ports.Remembers."""
        publisher = self._publisher
        return publisher.built_from(target, deadline) if isinstance(publisher, Remembers) else None

    def begin_deletions(self, owned: Sequence[Owned], deadline: Deadline) -> None:
        """Satisfies core.ports.Begins."""
        for platform in (self._builder, self._publisher):
            if isinstance(platform, Begins):
                platform.begin_deletions([each for each in owned if self._home(each) is platform], deadline)

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        self._home(owned).delete(owned, deadline)

    def _home(self, owned: Owned) -> Platform | Publisher:
        return self._builder if owned.platform == self._builder.name else self._publisher

    def close(self) -> None:
        """Satisfies core.ports.Closes."""
        for platform in (self._builder, self._publisher):
            if isinstance(platform, Closes):
                platform.close()
