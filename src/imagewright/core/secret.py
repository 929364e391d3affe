"""Secrets as a type, and the one place that takes their values out of a text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

LEAST = 4
"""Characters: to mask anything shorter would garble every text, and it is no secret."""


def lines(value: str) -> tuple[str, ...]:
    """What of a secret to hide where texts are hidden line by line: in the log of a runner."""
    return tuple(dict.fromkeys(line for line in value.splitlines() if len(line.strip()) >= LEAST))


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is never shown. `name` is what a log, a hash or an error may say instead."""

    name: str
    _value: str

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True, order=True)
class Masked:
    """Where a secret stood in a text. `form` says which line of it (0 for the whole), and how it was written."""

    name: str
    form: tuple[int, str]

    def __str__(self) -> str:
        return f"${{{self.name}}}"


@dataclass(frozen=True, slots=True)
class Mask:
    """Replaces every known secret in a text by its name: `${name}`. Values shorter than LEAST are left alone.

    The order of `secrets` does not matter.
    """

    secrets: tuple[Secret, ...] = ()

    def __call__(self, text: str) -> str:
        return "".join(map(str, self.split(text)))

    def split(self, text: str) -> list[str | Masked]:
        """`text` in pieces, which tell a secret from a text that only looks like a masked one."""
        parts: list[str | Masked] = [text]
        for value, masked in _by_length(self.secrets):
            if value in text:
                parts = [piece for part in parts for piece in _cut(part, value, masked)]
        return parts

    def plus(self, more: Iterable[Secret]) -> Mask:
        return Mask((*self.secrets, *more))


def _cut(part: str | Masked, value: str, masked: Masked) -> Iterator[str | Masked]:
    if isinstance(part, Masked):
        yield part
        return
    first, *others = part.split(value)
    yield first
    for other in others:
        yield masked
        yield other


@lru_cache(maxsize=64)
def _by_length(secrets: tuple[Secret, ...]) -> tuple[tuple[str, Masked], ...]:
    """Longer values come first, or else a secret that holds another one would be cut in two."""
    found: dict[str, Masked] = {}
    for secret in secrets:
        for form, value in _written(secret.reveal()):
            if len(value) >= LEAST:
                masked = Masked(secret.name, form)
                found[value] = min(found.get(value, masked), masked)
    return tuple(sorted(found.items(), key=lambda one: (-len(one[0]), one[0])))


def _written(value: str) -> Iterator[tuple[tuple[int, str], str]]:
    """`value` and its lines, as they are, in JSON and in single quotes of YAML."""
    for number, one in enumerate((value, *lines(value))):
        yield (number, ""), one
        yield (number, "json-ascii"), json.dumps(one)[1:-1]
        yield (number, "json"), json.dumps(one, ensure_ascii=False)[1:-1]
        yield (number, "yaml"), one.replace("'", "''")
