from __future__ import annotations

import pytest

from imagewright.core.events import Progress
from imagewright.render.quantities import counted, duration, elapsed, progress, size


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 << 20, "200 MiB"), (3 << 40, "3.0 TiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (30 * 86400, "30 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(7.9, "0:07"), (750, "12:30"), (3723, "1:02:03")])
def test_the_running_clock(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Progress("disk", 1 << 30, 4 << 30), "disk 25 % (1.0 GiB of 4.0 GiB)"),
        (Progress("download", 5 << 20, 0), "download 5.0 MiB"),
        (Progress("export", 40, 100, "%"), "export 40 %"),
        (Progress("replicas", 1, 3, "replicas"), "replicas 33 % (1 of 3 replicas)"),
    ],
)
def test_progress(event: Progress, text: str) -> None:
    assert progress(event) == text


def test_counted() -> None:
    assert (counted(1, "error"), counted(2, "error"), counted(0, "error")) == ("1 error", "2 errors", "0 errors")
