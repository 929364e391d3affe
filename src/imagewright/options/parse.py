"""Text to value, by the kind of the option. Pure; every refusal says which words would have been right."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from imagewright.core.errors import OptionsError
from imagewright.options.row import Kind, Option

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhdw])", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LARGEST = 10_000_000
"""Of minutes, MiB and counts alike: beyond what anybody has, and far from what the machinery below takes."""
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def parse(option: Option, text: str, where: str) -> object:
    """One value of `option`. `where` is what the user wrote it behind (`--memory`, `IMAGEWRIGHT_MEMORY`)."""
    match option.kind:
        case Kind.STRING:
            if not text:
                raise OptionsError(f"{where} is empty", hint="give a value, or leave it out")
            return text
        case Kind.PATH:
            return _path(text, where)
        case Kind.BOOLEAN:
            return _boolean(text, where)
        case Kind.INTEGER:
            return _integer(option, text, where)
        case Kind.CHOICE:
            return _choice(option, text, where)
        case Kind.SIZE:
            return _size(text, where)
        case Kind.AGE:
            return _age(text, where)
        case Kind.ASSIGNMENT:
            return _assignment(text, where)


def default_of(option: Option) -> object:
    """The default as a value: what the text means; nothing at all is `()`, `False`, `""` or None by kind."""
    if option.repeatable:
        return ()
    if option.kind is Kind.BOOLEAN:
        return option.default == "true"
    if option.kind is Kind.PATH and option.default:
        with suppress(OptionsError):  # no home directory: an error for what needs one, as written until then
            return parse(option, option.default, "default")
        return Path(option.default)
    if option.default:
        return parse(option, option.default, "default")
    words = option.kind is Kind.CHOICE and isinstance(option.choices, tuple)
    return "" if words or option.kind is Kind.STRING else None


def _path(text: str, where: str) -> Path:
    if not text:
        raise OptionsError(f"{where} is empty", hint="name a path, or leave it out")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise OptionsError(
            f"{where}: nobody knows the home directory that `{text}` begins with", hint="write the whole path"
        ) from None


def _boolean(text: str, where: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise OptionsError(f"{where}: `{text}` is neither true nor false")


def _integer(option: Option, text: str, where: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise OptionsError(f"{where}: `{text}` is not a whole number") from None
    if option.minimum is not None and number < option.minimum:
        raise OptionsError(f"{where}: {number} is too small, the least is {option.minimum}")
    if number > LARGEST:
        raise OptionsError(f"{where}: {text.strip()[:20]} is too large, the most is {LARGEST}")
    return number


def _choice(option: Option, text: str, where: str) -> object:
    known = {value.casefold(): value for value in reversed(option.values)}
    word = known.get(text.strip().casefold())
    if word is None:
        raise OptionsError(f"{where}: `{text}` is not known", hint=f"one of {', '.join(option.values)}")
    return word if isinstance(option.choices, tuple) else option.choices(word)


def _size(text: str, where: str) -> int | None:
    if text.strip().lower() == "none":
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise OptionsError(f"{where}: `{text}` is not a size", hint="write it like 20GiB, 512M or `none`")
    number, unit = found.groups()
    return int(float(number) * 1024 ** _POWERS[unit.lower()])


def _age(text: str, where: str) -> float | None:
    if text.strip().lower() == "none":
        return None
    if text.strip() == "0":
        return 0.0
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise OptionsError(f"{where}: `{text}` is not an age", hint="write it like 30d, 12h, 45m or `none`")
    number, unit = found.groups()
    return float(number) * _SECONDS[unit.lower()]


def _assignment(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if equals and not name.strip():
        raise OptionsError(f"{where}: `{text[:40]}` names nothing", hint="write it as NAME=VALUE")
    if not equals:
        raise OptionsError(f"{where}: `{name}` has no value", hint="write it as NAME=VALUE")
    return name.strip(), value
