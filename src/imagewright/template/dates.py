"""ARM's date functions, and .NET's date formats as far as ARM templates use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagewright.template.expressions import ExpressionError
from imagewright.template.values import number, text

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,5})M)?(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?"
)
_FIELD = re.compile(r"'[^']*'|\\.|y+|M+|d+|H+|h+|m+|s+|f+|t+|z+|K|.", re.DOTALL)

_FIELDS: Mapping[str, Callable[[datetime], str]] = {
    "yyyy": lambda at: f"{at.year:04}",
    "yy": lambda at: f"{at.year % 100:02}",
    "MMMM": lambda at: at.strftime("%B"),
    "MMM": lambda at: at.strftime("%b"),
    "MM": lambda at: f"{at.month:02}",
    "M": lambda at: str(at.month),
    "dddd": lambda at: at.strftime("%A"),
    "ddd": lambda at: at.strftime("%a"),
    "dd": lambda at: f"{at.day:02}",
    "d": lambda at: str(at.day),
    "HH": lambda at: f"{at.hour:02}",
    "H": lambda at: str(at.hour),
    "hh": lambda at: f"{at.hour % 12 or 12:02}",
    "h": lambda at: str(at.hour % 12 or 12),
    "mm": lambda at: f"{at.minute:02}",
    "m": lambda at: str(at.minute),
    "ss": lambda at: f"{at.second:02}",
    "s": lambda at: str(at.second),
    "tt": lambda at: "AM" if at.hour < 12 else "PM",
    "zzz": lambda _: "+00:00",
    "K": lambda _: "Z",
}
_EXTENDED = "yyyy-MM-ddTHH:mm:ssZ"
_STANDARD = {
    "d": "MM/dd/yyyy", "D": "dddd, dd MMMM yyyy", "s": "yyyy-MM-ddTHH:mm:ss", "u": "yyyy-MM-dd HH:mm:ssZ",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffZ", "O": "yyyy-MM-ddTHH:mm:ss.fffffffZ", "t": "HH:mm", "T": "HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm", "G": "MM/dd/yyyy HH:mm:ss", "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
}  # fmt: skip


def show(at: datetime, form: str = "") -> str:
    """`at` (in UTC) in a .NET format; ARM's default is `20261123T101500Z`."""
    form = _STANDARD.get(form, form) or "yyyyMMddTHHmmssZ"
    return "".join(_one(at, found[0]) for found in _FIELD.finditer(form))


def _one(at: datetime, field: str) -> str:
    if field[0] == "'":
        return field[1:-1]
    if field[0] == "\\":
        return field[1:]
    if field[0] == "f":
        return f"{at.microsecond:06}0"[: len(field)]
    return _FIELDS[field](at) if field in _FIELDS else field


def _parse(date: Any) -> datetime:
    if isinstance(date, str):
        try:
            if found := _COMPACT.fullmatch(date):
                return datetime(*(int(part) for part in found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
            if found := _ISO.fullmatch(date):
                zone = (found[3] or "Z").replace("Z", "+00:00")
                return datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}{zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ExpressionError("bad-argument", f"{date!r} is not a date", hint="for example 2026-11-23T10:15:00Z")


def _add(base: Any, duration: Any, form: str = "") -> str:
    """As ARM documents it, a year has 365 days here and a month 30."""
    start = _parse(base)
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if not found or len(duration) < 3:
        raise ExpressionError("bad-argument", f"{duration!r} is not a duration", hint="for example P1D, or -PT2H")
    sign = -1 if found["sign"] else 1
    part = {name: sign * int(value or 0) for name, value in found.groupdict().items() if name != "sign"}
    try:
        days = 365 * part.pop("years") + 30 * part.pop("months") + part.pop("days")
        moved = start + timedelta(days, **part)
    except (ValueError, OverflowError):
        raise ExpressionError("bad-argument", "the date is out of range", hint="years are 1 to 9999") from None
    return show(moved, text(form) or _EXTENDED)


def _epoch(seconds: Any) -> str:
    try:
        return show(datetime.fromtimestamp(number(seconds), UTC), _EXTENDED)
    except (ValueError, OverflowError, OSError):
        raise ExpressionError("bad-argument", "the time is out of range", hint="seconds since 1970") from None


DATE_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "dateTimeAdd": _add,
    "dateTimeFromEpoch": _epoch,
    "dateTimeToEpoch": lambda date: int(_parse(date).timestamp()),
}
