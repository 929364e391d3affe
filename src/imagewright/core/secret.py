"""Secrets as a type, and the one place that takes their values out of a text."""

from __future__ import annotations

import json
from collections.abc import Iterable
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


@dataclass(frozen=True, slots=True)
class Mask:
    """Replaces every known secret in a text by its name: `${name}`. Values shorter than LEAST are left alone.

    The order of `secrets` does not matter.
    """

    secrets: tuple[Secret, ...] = ()

    def __call__(self, text: str) -> str:
        for value, name in _by_length(self.secrets):
            text = text.replace(value, f"${{{name}}}")
        return text

    def plus(self, more: Iterable[Secret]) -> Mask:
        return Mask((*self.secrets, *more))


@lru_cache(maxsize=64)
def _by_length(secrets: tuple[Secret, ...]) -> tuple[tuple[str, str], ...]:
    """Values and names. Longer values come first, or else a secret that holds another one would be cut in two."""
    names: dict[str, str] = {}
    for secret in secrets:
        for value in _written(secret.reveal()):
            if len(value) >= LEAST:
                names[value] = min(names.get(value, secret.name), secret.name)
    return tuple(sorted(names.items(), key=lambda one: (-len(one[0]), one[0])))


def _written(value: str) -> list[str]:
    """`value` and its lines, as they are, in JSON and in single quotes of YAML."""
    plain = [value, *lines(value)]
    in_json = [json.dumps(one, ensure_ascii=ascii_only)[1:-1] for one in plain for ascii_only in (True, False)]
    return [*plain, *in_json, *(one.replace("'", "''") for one in plain)]
