"""Secrets as a type, and the one place that takes their values out of a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    """Replaces every known secret in a text by its name: `${name}`. Values shorter than LEAST are left alone."""

    secrets: tuple[Secret, ...] = ()

    def __call__(self, text: str) -> str:
        for secret in sorted(self.secrets, key=lambda one: -len(one.reveal())):
            for value in (secret.reveal(), *lines(secret.reveal())):
                if len(value) >= LEAST:
                    text = text.replace(value, f"${{{secret.name}}}")
        return text

    def plus(self, more: Iterable[Secret]) -> Mask:
        return Mask((*self.secrets, *more))
