"""`when: source-changed`: whether every target holds an image of the source as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagewright.core.plan import ManagedImageTarget, Target
from imagewright.core.ports import source_tag
from imagewright.engine.explain import PlanReport
from imagewright.entry.last_built import key, known, remember


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of the last images.

    `answers` are the targets' own, in their order: the tag of the source, `""` for no image, None for a target that
    cannot tell. Only for those counts what this machine remembers under `name`.
    """

    home: Path
    name: str
    source: str
    answers: tuple[str | None, ...]

    @property
    def is_newest(self) -> bool:
        remembered = known(self.home, self.name)
        return bool(self.answers) and all(
            (remembered if answer is None else answer) == self.source for answer in self.answers
        )

    @property
    def only_here(self) -> bool:
        """Whether a target's image is known to this machine alone."""
        return None in self.answers

    def remember(self) -> None:
        if self.only_here:
            remember(self.home, self.name, self.source)


def memory(
    home: Path, report: PlanReport, targets: Sequence[Target], answers: Sequence[str | None], run: str
) -> Memory:
    """`run` is in the names that this run made up itself (`""`: none are): such an image is new in every run."""
    told = (None if _is_made_up(target, run) else answer for target, answer in zip(targets, answers, strict=True))
    return Memory(home, key(report, run), source_tag(report.source), tuple(told))


def _is_made_up(target: Target, run: str) -> bool:
    return bool(run) and isinstance(target, ManagedImageTarget) and run in target.image_id
