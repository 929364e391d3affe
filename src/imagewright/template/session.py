"""What all deployments of one file share while they are evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from imagewright.core.digest import digest
from imagewright.core.origin import Origin
from imagewright.core.secret import Mask, Secret
from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template.effort import Effort
from imagewright.template.parameters import secrets
from imagewright.template.report import Report
from imagewright.template.values import Value, as_text

_LONGEST_NAME = 60


@dataclass(frozen=True)
class Session:
    """Where findings go, the work done so far, the secrets met.

    `values_lost`: parameters may have values in a file that could not be read. `switched_off` are the places of image
    templates that the deployment would not make.
    """

    report: Report
    effort: Effort = field(default_factory=Effort)
    secrets: dict[Secret, None] = field(default_factory=dict)
    values_lost: bool = False
    switched_off: list[Origin] = field(default_factory=list)

    @property
    def mask(self) -> Mask:
        return Mask(tuple(self.secrets))

    def learn(self, secrets: Iterable[Secret]) -> None:
        self.secrets.update(dict.fromkeys(secrets))

    def derived(self, function: str, arguments: Sequence[Value], result: Value) -> None:
        """What a function of texts makes out of a secret is a secret too, unless the mask sees the secret in it.

        Its name tells how it was made, so that two different results never count as the same.
        """
        if not self.secrets or not (isinstance(result, str) or (arguments and isinstance(arguments[0], str))):
            return
        mask = self.mask
        self.effort.spend(len(mask.secrets) // 100)
        pieces = mask.split(", ".join(as_text(one) for one in arguments))
        if len(pieces) == 1:
            return
        masked = "".join(map(str, pieces))
        looks_masked = any(isinstance(piece, str) and "${" in piece for piece in pieces)
        if looks_masked or len(masked) > _LONGEST_NAME:
            masked = f"{masked[:_LONGEST_NAME]}… {digest('imagewright.secret.v2', pieces)[:8]}"
        made = secrets(f"{function}({masked})", result)
        self.learn(one for one in made if mask(one.reveal()) == one.reveal())

    def settled(self, value: object, origin: Origin) -> object:
        """`value` with everything unknown in it reported."""
        if not _is_news(value):
            return value
        match value:
            case Unknown():
                if value != REPORTED:
                    self.report.unknown(value.code, f"this cannot be known here: {value.reason}", origin, value.hint)
                return REPORTED
            case list():
                return [self.settled(one, origin) for one in value]
            case dict():
                return {key: self.settled(one, origin) for key, one in value.items()}
            case _:
                return value


def _is_news(value: object) -> bool:
    """Whether something in `value` is unknown that no diagnostic was written about."""
    match value:
        case Unknown():
            return value != REPORTED
        case list():
            return any(_is_news(one) for one in value)
        case dict():
            return any(_is_news(one) for one in value.values())
        case _:
            return False
