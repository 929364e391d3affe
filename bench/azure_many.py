"""Many builds at once in one process, beside one alone: how much slower, and how much memory each takes.

    python bench/azure_many.py COUNT ALONE

Reads two lines of JSON, what `python -m armsim` says of itself: a few builds in the first place, a fast one, bring
in what every build needs; ALONE builds one after the other in the second are timed, and a line of JSON tells of them.
The next line that is read lets COUNT builds go from one barrier; a second line of JSON tells of those.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from azure_simulated import environment, managed, template

from imagewright import app
from imagewright.core.events import Event, Note
from imagewright.entry.arguments import read
from imagewright.render.redact import Redact


def main() -> None:
    count, alone = int(sys.argv[1]), int(sys.argv[2])
    warm, place = json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        Builds(warm, Path(folder, "warm")).at_once(3)
        builds = Builds(place, Path(folder, "measured"))
        say({"alone": statistics.median(builds.at_once(1)[0] for _ in range(alone))})
        sys.stdin.readline()
        before = pss()
        peak = Peak()
        each = builds.at_once(count)
        highest = peak.end()
    say({"slowest": max(each), "median": statistics.median(each), "mib_each": (highest - before) / 1024 / count})


def say(found: dict[str, float]) -> None:
    print(json.dumps(found), flush=True)


class Builds:
    """Builds in one simulated Azure, each with a template and an image of its own."""

    def __init__(self, place: dict[str, Any], folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._variables = environment(place, folder / "home")
        self._group = f"/subscriptions/{place['subscription']}/resourceGroups/results"
        self._number = 0

    def at_once(self, count: int) -> list[float]:
        """The seconds of each of so many builds that begin together."""
        os.environ.update(self._variables)
        barrier = threading.Barrier(count)
        files = [self._template() for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda file: self._build(file, barrier), files))

    def _template(self) -> Path:
        self._number += 1
        name = f"many-{self._number}"
        return template(self._folder / f"{name}.json", managed(self._group, name))

    def _build(self, file: Path, barrier: threading.Barrier) -> float:
        _, options = read(["build", str(file), "--no-cache"], os.environ)
        barrier.wait()
        from_ = time.monotonic()
        events: list[Event] = []
        result = app.build(app.Order(options), Redact(events.append))
        seconds = time.monotonic() - from_
        if app.exit_code(result) != 0:
            notes = [event.message for event in events if isinstance(event, Note)]
            sys.exit(f"a build failed: {result.failure} {result.left_behind} {notes[-3:]}")
        return seconds


def pss() -> int:
    """KiB that this process has for itself, shared pages counted by their share."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class Peak:
    """The highest `pss` from now to `end`."""

    def __init__(self) -> None:
        self._highest = pss()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            self._highest = max(self._highest, pss())

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return max(self._highest, pss())


if __name__ == "__main__":
    main()
