"""The store of checkpoints: what is found, begun, finished, and deleted, by several builds at once.

A checkpoint is the directory <root>/<key16>-<random>/; what is in it: checkpoint.py.
A layer names the one below it by path, so a directory is deleted only when nothing lies on it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagewright.core.clock import Clock, fresh_name
from imagewright.core.locks import held
from imagewright.core.ports import CacheLimits, Kept, KeptKind
from imagewright.disks.sparse import sha256
from imagewright.platforms.local.background import Background
from imagewright.platforms.local.checkpoint import (
    FORMAT,
    LAYERS,
    META,
    Base,
    DamagedError,
    Entry,
    Meta,
    as_kept,
    hollow,
    is_layer,
    parent_name,
    read_meta,
    size_of,
    used,
    write_meta,
)
from imagewright.platforms.local.host import on_host


class Checkpoints:
    """Satisfies core.ports.Cache. Safe for several processes at once."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self._clock = clock
        self._held: dict[Path, contextlib.ExitStack] = {}
        self._finishing: list[tuple[str, Background[None]]] = []
        self._letting_go = threading.Lock()

    # --- using ---

    def find(self, key: str, kind: KeptKind) -> Entry | None:
        """The newest finished checkpoint of `key`; it is held until `release`, so that nobody deletes it."""
        found = [entry for entry in self._entries(key[:16]) if entry.meta.key == key and entry.meta.kind == kind]
        for entry in sorted(found, key=lambda one: one.meta.created, reverse=True):
            if all(self._hold(directory) for directory in self._line(entry.directory)) and read_meta(
                entry.directory / META
            ):
                with contextlib.suppress(OSError):
                    (entry.directory / "used").touch()
                return entry
        return None

    def new(self, key: str, parent: Path | None) -> Path:
        """An empty, held directory for the layers that lie on those of `parent`."""
        directory = self.root / f"{key[:16]}-{fresh_name(6)}"
        self.root.mkdir(parents=True, exist_ok=True)
        with held(self._pruning, wait=True):  # until it is held, it looks like one that somebody left unfinished
            directory.mkdir(mode=0o700)
            (directory / "parent").write_text(parent.name if parent else "")
            self._hold(directory)
        return directory

    def finish(self, directory: Path, meta: Meta) -> None:
        """Hash the files and declare the checkpoint usable."""
        self._seal(directory, meta, META)

    def finish_later(self, directory: Path, meta: Meta) -> None:
        """`finish`, while the build goes on; `settle` waits for it."""
        self._later(directory, meta, META)

    def give_up(self, directory: Path, meta: Meta, *, frozen: bool) -> None:
        """What was to become a checkpoint will be none. If its layers are `frozen`, a machine stands on them: they
        are finished for what will lie on them, in their own time."""
        if not frozen:
            shutil.rmtree(directory, ignore_errors=True)
            return
        with contextlib.suppress(OSError):
            for path in directory.iterdir():
                if not is_layer(path):
                    path.unlink()
        self._later(directory, meta, LAYERS)

    def settle(self) -> Sequence[tuple[str, OSError]]:
        """Wait for what is finished in the background; the note and the error of each that was not."""
        failed = []
        while self._finishing:
            note, finishing = self._finishing.pop()
            try:
                finishing.join()
            except OSError as error:
                failed.append((note, error))
        return failed

    def _later(self, directory: Path, meta: Meta, word: str) -> None:
        """One after another: what lies on a directory is finished after it."""
        below = self._finishing[-1][1] if self._finishing else None

        def finish() -> None:
            if below is not None:
                below.wait()
            self._seal(directory, meta, word)

        self._finishing.append((meta.note, Background(finish)))

    def _seal(self, directory: Path, meta: Meta, word: str) -> None:
        names = [path.name for path in directory.iterdir() if path.name not in ("parent", "lock")]
        meta = dataclasses.replace(meta, files={name: sha256(directory / name) for name in names})
        with self._letting_go:
            if directory in self._held:  # or else the build was over before, and it is being deleted
                (directory / "used").touch()
                write_meta(directory / word, meta)

    def describe(
        self, key: str, kind: KeptKind, note: str, base: Base, sizes: tuple[int, ...], machine: dict[str, str | int]
    ) -> Meta:
        return Meta(FORMAT, key, kind, note, self._clock.now().isoformat(), base, sizes, {}, machine)

    def verify(self, entry: Entry) -> None:
        """Read every file of the checkpoint and of those it lies on. Raises DamagedError with what is wrong,
        HostError when one cannot be read."""
        with on_host("the checkpoint could not be read"):
            self._verify(entry)

    def _verify(self, entry: Entry) -> None:
        if not entry.meta.base.is_there():
            raise DamagedError(f"its base disk {entry.meta.base.path} has changed or is gone")
        for directory in self._line(entry.directory):
            meta = read_meta(directory / META) or read_meta(directory / LAYERS)
            if meta is None:
                raise DamagedError(f"{directory.name}, on which it lies, was never finished")
            for name, expected in meta.files.items():
                wanted = directory == entry.directory or name.startswith("disk-")
                if wanted and sha256(directory / name) != expected:
                    raise DamagedError(f"{directory.name}/{name} is not what it was")

    def discard(self, entry: Entry) -> None:
        """Never use this checkpoint again; what lies on it keeps its layers."""
        with contextlib.suppress(OSError):
            hollow(entry.directory)

    @contextmanager
    def using(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Hold nothing any more; what this build began and did not finish is gone then."""
        with self._letting_go:
            unfinished = any(not (directory / META).exists() for directory in self._held)
            while self._held:
                self._held.popitem()[1].close()
        if unfinished:
            with contextlib.suppress(OSError), held(self._pruning) as ours:
                if ours:  # or else somebody prunes, and takes our leftovers too
                    self._delete_unfinished()

    # --- the port ---

    def has(self, key: str) -> bool:
        return any(entry.meta.key == key for entry in self._entries(key[:16]))

    def mark(self, key: str, note: str) -> None:
        with on_host("what was found out could not be kept"):
            self.finish(self.new(key, None), self.describe(key, KeptKind.VERDICT, note, Base("", 0, 0), (), {}))

    def list(self) -> Sequence[Kept]:
        return sorted((as_kept(entry) for entry in self._entries("")), key=lambda kept: kept.used, reverse=True)

    def prune(self, limits: CacheLimits) -> Sequence[Kept]:
        if not self.root.is_dir():
            return ()
        gone: list[Kept] = []
        with on_host("the cache could not be pruned"), held(self._pruning, wait=True):
            self._delete_unfinished()
            for entry in sorted(self._entries(""), key=used):
                if self._over(entry, limits):
                    kept = as_kept(entry)
                    if self._delete(entry):
                        gone.append(kept)
                        self._delete_unfinished()
        return gone

    # --- deleting ---

    def size(self) -> int:
        """Bytes on the disk of everything in the store."""
        return sum(size_of(directory) for directory in self._directories())

    def _over(self, entry: Entry, limits: CacheLimits) -> bool:
        unused = self._clock.now().timestamp() - used(entry)
        if limits.age is not None and unused > limits.age:
            return True
        return limits.size is not None and self.size() > limits.size

    def _delete(self, entry: Entry) -> bool:
        """Delete one checkpoint, but for layers that others lie on. False when a build stands on it."""
        with held(_lock(entry.directory)) as ours:
            if ours:
                hollow(entry.directory)
            return ours

    def _delete_unfinished(self) -> None:
        """Delete what is neither finished nor lain upon, from the leaves down."""
        again = True
        while again:
            again = False
            parents = {parent_name(directory) for directory in self._directories()}
            for directory in self._directories():
                if (directory / META).exists() or directory.name in parents:
                    continue
                with held(_lock(directory)) as ours:
                    if ours:
                        shutil.rmtree(directory)
                        again = True

    # --- looking ---

    def _directories(self) -> Sequence[Path]:
        with on_host("the cache could not be read"):
            return [path for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []

    def _entries(self, prefix: str) -> Iterator[Entry]:
        for directory in self._directories():
            if directory.name.startswith(prefix) and (meta := read_meta(directory / META)) is not None:
                yield Entry(directory, meta)

    def _line(self, directory: Path) -> Sequence[Path]:
        """`directory` and all that it lies on, the top first."""
        line = [directory]
        while name := parent_name(line[-1]):
            line.append(self.root / name)
        return line

    def _hold(self, directory: Path) -> bool:
        if directory in self._held:
            return True
        with contextlib.ExitStack() as holding:
            try:
                ours = holding.enter_context(held(_lock(directory), shared=True))
            except OSError:
                return False
            if ours:
                self._held[directory] = holding.pop_all()
            return ours

    @property
    def _pruning(self) -> Path:
        """The lock of whoever deletes: one at a time does."""
        return self.root / ".prune"


def _lock(directory: Path) -> Path:
    return directory / "lock"
