"""The contract of core.ports.Cache: the memory platform's and the local one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from manual_clock import ManualClock
from memory_platform import MemoryCache, MemoryMachine, World
from small_plan import small_plan

from imagewright.core.clock import Clock
from imagewright.core.ownership import Owned
from imagewright.core.ports import Cache, CacheLimits
from imagewright.platforms.local.checkpoint import Base
from imagewright.platforms.local.checkpoints import Checkpoints

Keep = Callable[[str, str], None]
ONE, TWO = "1" * 64, "2" * 64


def memory(folder: Path, clock: Clock) -> tuple[Cache, Keep]:
    world = World()
    machine = MemoryMachine(world, Owned("memory", "machine", "m"), clock, small_plan().source)
    return MemoryCache(world, clock), machine.checkpoint


def local(folder: Path, clock: Clock) -> tuple[Cache, Keep]:
    store = Checkpoints(folder / "checkpoints", clock)

    def keep(key: str, note: str) -> None:
        with store.using():
            directory = store.new(key, None)
            (directory / "disk-0.qcow2").write_bytes(b"layer" * 1000)
            store.finish(directory, store.describe(key, "machine", note, Base("/base", 1, 1), (1,), {}))

    return store, keep


@pytest.fixture(params=[memory, local], ids=lambda make: make.__name__)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Cache, Keep]:
    return request.param(tmp_path, ManualClock())


def test_an_empty_cache_lists_and_prunes_nothing(cache: tuple[Cache, Keep]) -> None:
    there, _ = cache
    assert list(there.list()) == []
    assert list(there.prune(CacheLimits(size=0))) == []
    assert not there.has(ONE)


def test_what_was_kept_is_there_with_its_note(cache: tuple[Cache, Keep]) -> None:
    there, keep = cache
    keep(ONE, "after step 1")
    assert there.has(ONE)
    assert not there.has(TWO)
    (kept,) = there.list()
    assert (kept.key, kept.note) == (ONE, "after step 1")
    assert kept.size > 0


def test_a_mark_is_a_fact_that_is_kept(cache: tuple[Cache, Keep]) -> None:
    there, _ = cache
    there.mark(ONE, "passed its validators")
    assert there.has(ONE)
    assert [kept.note for kept in there.list()] == ["passed its validators"]


def test_without_limits_everything_stays(cache: tuple[Cache, Keep]) -> None:
    there, keep = cache
    keep(ONE, "one")
    assert list(there.prune(CacheLimits())) == []
    assert there.has(ONE)


def test_what_is_pruned_is_told_and_gone(cache: tuple[Cache, Keep]) -> None:
    there, keep = cache
    keep(ONE, "one")
    keep(TWO, "two")
    assert {kept.key for kept in there.prune(CacheLimits(size=0))} == {ONE, TWO}
    assert list(there.list()) == []
    assert not there.has(ONE)
