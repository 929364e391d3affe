"""The disks of a build without the layers below them: made once, however many images hold them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imagewright.core.clock import MOMENT, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.ownership import Owned, Owner
from imagewright.disks import sparse
from imagewright.disks.convert import Progress
from imagewright.platforms.local import qemu_img

FILE = "file"


class FlatDisks:
    """Made in `work`, and owned there until the build is over. Threads that want the same disk wait for one another.

    The owner must outlive them all: what it has deleted is not made again.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._made: dict[str, Path] = {}

    def put(self, disk: Disk, target: Path, owner: Owner, check: Callable[[], None], progress: Progress) -> None:
        """Make the new file `target` the whole of `disk`, as qcow2. Its bytes may be shared: none may write to it."""
        with self._held(check):
            if disk.location not in self._made:
                self._made[disk.location] = self._flattened(disk, owner, check, progress)
        _link(self._made[disk.location], target)

    def _flattened(self, disk: Disk, owner: Owner, check: Callable[[], None], progress: Progress) -> Path:
        flat = self._work / f"flat-{fresh_name(6)}.qcow2"
        owner.own(Owned("local", FILE, str(flat)))
        self._work.mkdir(parents=True, exist_ok=True)
        qemu_img.convert(Path(disk.location), disk.format, flat, "qcow2", progress=progress, check=check)
        return flat

    @contextmanager
    def _held(self, check: Callable[[], None]) -> Iterator[None]:
        while not self._lock.acquire(timeout=MOMENT):
            check()
        try:
            yield
        finally:
            self._lock.release()


def _link(flat: Path, target: Path) -> None:
    """One file by two names, or a copy, where the store lies on another file system or on one without links."""
    try:
        target.hardlink_to(flat)
    except OSError:
        with flat.open("rb") as source, target.open("xb") as copy:
            sparse.copy(source.fileno(), copy.fileno())
