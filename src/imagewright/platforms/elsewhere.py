"""A build on one platform whose targets are written by another: built on this machine, published to Azure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from imagewright.core.clock import Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, MachineSpec, Plan, Source, Target
from imagewright.core.ports import Cache, Machine, Platform, Remembers
from imagewright.core.result import RunOutput


class Elsewhere:
    """Satisfies core.ports.Platform and Remembers: all that is not about images is done by `builder`."""

    def __init__(self, builder: Platform, publisher: Platform) -> None:
        self._builder = builder
        self._publisher = publisher

    @property
    def name(self) -> str:
        return self._builder.name

    @property
    def cache(self) -> Cache:
        return self._builder.cache

    def check(self, plan: Plan) -> Iterable[Diagnostic]:
        return self._builder.check(plan)

    def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
        return self._builder.resolve(source, plan, deadline)

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

    def publish(
        self, disk: Disk, target: Target, source: ExactSource, plan: Plan, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        return self._publisher.publish(disk, target, source, plan, owner, deadline)

    def built_from(self, target: Target, deadline: Deadline) -> str | None:
        publisher = self._publisher
        return publisher.built_from(target, deadline) if isinstance(publisher, Remembers) else None

    def delete(self, owned: Owned, deadline: Deadline) -> None:
        at_home = owned.platform == self._builder.name
        (self._builder if at_home else self._publisher).delete(owned, deadline)
