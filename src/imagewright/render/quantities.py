"""Bytes, seconds and progress in words. Pure."""

from __future__ import annotations

from imagewright.core.events import Progress

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """Bytes: `512 B`, `1.5 GiB`."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """How long something took: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `30 d`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d"


def elapsed(seconds: float) -> str:
    """A running clock: `0:07`, `12:30`, `1:02:03`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def progress(event: Progress) -> str:
    """`label 45 % (1.2 GiB of 2.7 GiB)`, or what is known of it."""
    if event.unit == "%":
        return f"{event.label} {event.done} %"
    if not event.total:
        return f"{event.label} {_amount(event.done, event.unit)}"
    done = size(event.done) if event.unit == "B" else str(event.done)
    return f"{event.label} {percent(event)} % ({done} of {_amount(event.total, event.unit)})"


def percent(event: Progress) -> int:
    """How far it is; 0 where that is not known."""
    if event.unit == "%":
        return min(100, event.done)
    return min(100, 100 * event.done // event.total) if event.total else 0


def _amount(count: int, unit: str) -> str:
    return size(count) if unit == "B" else f"{count} {unit}"


def counted(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
