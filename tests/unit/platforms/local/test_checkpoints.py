from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from manual_clock import ManualClock

from imagewright.core.locks import held
from imagewright.core.ports import CacheLimits
from imagewright.disks.sparse import sha256
from imagewright.platforms.local import checkpoints
from imagewright.platforms.local.checkpoint import LAYERS, META, Base, DamagedError, Entry
from imagewright.platforms.local.checkpoints import Checkpoints

ONE, TWO, THREE = (letter * 64 for letter in "abc")
NOTHING_MAY_STAY = CacheLimits(size=0)
FILES = ("disk-0.qcow2", "ram", "state", "seed.img")

FIND = """
import sys
from pathlib import Path
from imagewright.core.clock import SystemClock
from imagewright.platforms.local.checkpoints import Checkpoints
store = Checkpoints(Path(sys.argv[1]), SystemClock())
with store.using():
    print(store.find(sys.argv[2], "machine").directory.name, flush=True)
    sys.stdin.read()
"""


class Store:
    """A store, and the disk at the bottom of what is in it."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base.qcow2"
        self.base.write_bytes(b"the base disk")
        self.root = folder / "checkpoints"
        self.clock = ManualClock()
        self.checkpoints = self.another()

    def another(self) -> Checkpoints:
        """What another build sees."""
        return Checkpoints(self.root, self.clock)

    def begin(self, key: str, parent: Path | None = None, files: tuple[str, ...] = FILES) -> Path:
        directory = self.checkpoints.new(key, parent)
        for name in files:
            (directory / name).write_bytes(f"{name} of {key[0]}".encode() * 100)
        return directory

    def meta(self, key: str, kind: str = "machine", note: str = "a note"):
        return self.checkpoints.describe(key, kind, note, Base.of(self.base), (1 << 30,), {"os_type": "Linux"})

    def keep(self, key: str, parent: Path | None = None) -> Path:
        directory = self.begin(key, parent)
        self.checkpoints.finish(directory, self.meta(key))
        self.clock.wait(1)
        return directory

    def find(self, key: str) -> Entry:
        found = self.checkpoints.find(key, "machine")
        assert found is not None
        return found

    def keys(self) -> set[str]:
        return {kept.key for kept in self.another().list()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_what_was_kept_is_found_whole_and_newest_first(store: Store) -> None:
    store.keep(ONE)
    newest = store.keep(ONE)
    entry = store.find(ONE)
    assert entry.directory == newest
    assert set(entry.meta.files) == set(FILES)
    store.checkpoints.verify(entry)
    assert store.checkpoints.find(ONE, "disk") is None
    assert store.checkpoints.find(TWO, "machine") is None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["changed", "cut off", "gone"])
def test_damage_of_any_file_is_noticed(store: Store, name: str, harm: str) -> None:
    path = store.keep(ONE) / name
    match harm:
        case "changed":
            path.write_bytes(path.read_bytes().replace(b"of", b"0f", 1))
        case "cut off":
            path.write_bytes(path.read_bytes()[:-1])
        case "gone":
            path.unlink()
    with pytest.raises(DamagedError, match=name):
        store.checkpoints.verify(store.find(ONE))


def test_damage_of_a_layer_below_is_noticed_and_of_its_memory_is_not(store: Store) -> None:
    below = store.keep(ONE)
    store.keep(TWO, below)
    (below / "ram").write_bytes(b"other")
    store.checkpoints.verify(store.find(TWO))
    (below / "disk-0.qcow2").write_bytes(b"other")
    with pytest.raises(DamagedError, match="disk-0"):
        store.checkpoints.verify(store.find(TWO))


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_base_disk_that_is_not_what_it_was_is_noticed(store: Store, harm: str) -> None:
    store.keep(ONE)
    if harm == "gone":
        store.base.unlink()
    else:
        store.base.write_bytes(b"another base disk")
    with pytest.raises(DamagedError, match="base disk"):
        store.checkpoints.verify(store.find(ONE))


@pytest.mark.parametrize("left", [0, 1, 100])
def test_a_meta_file_that_was_cut_off_makes_no_checkpoint(store: Store, left: int) -> None:
    meta = store.keep(ONE) / META
    meta.write_bytes(meta.read_bytes()[:left])
    assert store.checkpoints.find(ONE, "machine") is None
    assert not store.checkpoints.has(ONE)
    assert store.keys() == set()


def test_one_that_was_discarded_keeps_the_layers_of_what_lies_on_it(store: Store) -> None:
    below = store.keep(ONE)
    store.keep(TWO, below)
    store.checkpoints.discard(store.find(ONE))
    assert store.checkpoints.find(ONE, "machine") is None
    assert not (below / "ram").exists()
    store.checkpoints.verify(store.find(TWO))


def test_two_builds_may_discard_the_same_one(store: Store) -> None:
    store.keep(ONE)
    entry = store.find(ONE)
    other = store.another()
    same = other.find(ONE, "machine")
    assert same is not None
    store.checkpoints.discard(entry)
    other.discard(same)
    with pytest.raises(DamagedError):
        other.verify(same)
    assert store.keys() == set()


def test_what_a_build_stands_on_is_not_pruned(store: Store) -> None:
    below = store.keep(ONE)
    store.keep(TWO, below)
    store.keep(THREE)
    store.checkpoints.release()
    command = [sys.executable, "-c", FIND, str(store.root), TWO]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip()
        assert {kept.key for kept in store.another().prune(NOTHING_MAY_STAY)} == {THREE}
        assert store.keys() == {ONE, TWO}
        holder.kill()
    assert {kept.key for kept in store.another().prune(NOTHING_MAY_STAY)} == {ONE, TWO}
    assert [path for path in store.root.iterdir() if path.is_dir()] == []


def test_one_that_is_being_made_is_not_pruned(store: Store) -> None:
    directory = store.begin(ONE)
    store.another().prune(NOTHING_MAY_STAY)
    store.checkpoints.finish(directory, store.meta(ONE))
    assert store.keys() == {ONE}


def test_nothing_is_begun_while_another_build_prunes(store: Store) -> None:
    """Between its making and its holding a directory would look like a leftover."""
    store.root.mkdir()
    begun = threading.Event()
    with (store.root / ".prune").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: (store.begin(ONE), begun.set()))
        thread.start()
        assert not begun.wait(0.1)
        assert list(store.root.iterdir()) == [store.root / ".prune"]
    assert begun.wait(20)
    thread.join()


def test_the_least_recently_used_go_first(store: Store) -> None:
    for age, key in enumerate((TWO, ONE, THREE)):
        os.utime(store.keep(key) / "used", (age, age))
    store.checkpoints.release()
    limit = CacheLimits(size=store.checkpoints.size() - 1)
    assert [kept.key for kept in store.another().prune(limit)] == [TWO]


def test_what_is_finished_in_the_background_is_whole_when_it_was_waited_for(store: Store) -> None:
    with store.checkpoints.using():
        below = store.begin(ONE)
        store.checkpoints.finish_later(below, store.meta(ONE))
        store.checkpoints.finish_later(store.begin(TWO, below), store.meta(TWO))
        assert store.checkpoints.settle() == []
    store.checkpoints.verify(store.find(TWO))
    assert store.keys() == {ONE, TWO}


def test_what_could_not_be_finished_is_told(store: Store) -> None:
    directory = store.begin(ONE)
    for path in (*directory.iterdir(),):
        path.unlink()
    directory.rmdir()
    store.checkpoints.finish_later(directory, store.meta(ONE, note="after step 1"))
    ((note, error),) = store.checkpoints.settle()
    assert note == "after step 1"
    assert isinstance(error, FileNotFoundError)


def test_what_was_begun_and_not_finished_is_gone_with_the_build(store: Store) -> None:
    with store.checkpoints.using():
        kept = store.keep(ONE)
        store.begin(TWO, kept)
    assert [path for path in store.root.iterdir() if path.is_dir()] == [kept]


def test_the_end_of_a_build_waits_for_nobody_who_prunes(store: Store) -> None:
    with store.checkpoints.using():
        directory = store.begin(ONE)
        lock = (store.root / ".prune").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert directory.exists()
    lock.close()
    store.another().prune(CacheLimits())
    assert not directory.exists()


def test_one_that_was_given_up_is_gone(store: Store) -> None:
    directory = store.begin(ONE)
    store.checkpoints.give_up(directory, store.meta(ONE), frozen=False)
    assert not directory.exists()


def test_the_layers_of_one_that_was_given_up_carry_the_next(store: Store) -> None:
    """The machine goes on upon frozen layers, though its memory could not be kept."""
    below = store.begin(ONE)
    store.checkpoints.give_up(below, store.meta(ONE), frozen=True)
    store.checkpoints.finish_later(store.begin(TWO, below), store.meta(TWO))
    assert store.checkpoints.settle() == []
    assert store.keys() == {TWO}
    assert {path.name for path in below.iterdir()} == {"parent", "lock", "used", "disk-0.qcow2", LAYERS}
    store.checkpoints.verify(store.find(TWO))
    (below / "disk-0.qcow2").write_bytes(b"other")
    with pytest.raises(DamagedError):
        store.checkpoints.verify(store.find(TWO))


def test_a_directory_that_vanishes_is_neither_listed_nor_an_error(store: Store) -> None:
    directory = store.keep(ONE)
    entry = store.find(ONE)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    assert store.checkpoints.list() == []
    store.checkpoints.discard(entry)
    assert store.another().find(ONE, "machine") is None


def test_what_is_hashed_after_the_end_is_declared_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled build waits for no hash: when it comes, nobody may take the directory for a checkpoint."""
    over = threading.Event()

    def slow(path: Path) -> str:
        over.wait(60)
        return sha256(path)

    monkeypatch.setattr(checkpoints, "sha256", slow)
    directory = store.begin(ONE)
    with held(directory / "lock", shared=True):  # so that `release` cannot delete it
        store.checkpoints.finish_later(directory, store.meta(ONE))
        store.checkpoints.release()
        over.set()
        store.checkpoints.settle()
        assert not (directory / META).exists()
