"""The chain of keys: which states a build passes through, and after which of them it is worth keeping one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.core.actions import Action
from imagewright.core.choices import Keep
from imagewright.core.digest import digest
from imagewright.core.disk import Disk
from imagewright.core.plan import ExactSource, Step
from imagewright.core.secret import Mask

WORTH_SECONDS = 2.0
"""Where a resume takes seconds: no boot, the machine goes on where it stood."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """`reuse`: resume from what is kept. `keep`: what this build keeps itself.

    `worth_seconds`: a step that took less is done again sooner than its state is written and read.
    """

    reuse: bool = True
    keep: Keep = Keep.AUTO
    worth_seconds: float = WORTH_SECONDS

    def after_boot(self) -> bool:
        """Where a resume is itself a boot, the state after the first boot is worth nothing."""
        quick = self.worth_seconds <= WORTH_SECONDS
        return self.keep is Keep.ALL or (self.keep is Keep.AUTO and quick)

    def after_step(self, seconds_since_checkpoint: float, *, last: bool, secret: bool) -> bool:
        """`secret`: the machine has seen one, and its memory and disk may hold it: to keep that must be asked for."""
        match self.keep:
            case Keep.NONE:
                return False
            case Keep.LAST:
                return last
            case Keep.ALL:
                return True
            case Keep.AUTO:
                return not secret and seconds_since_checkpoint >= self.worth_seconds


@dataclass(frozen=True, slots=True)
class Chain:
    """`keys[0]` is the booted source, `keys[i]` the state after step i; `captured` is the disk that comes out."""

    keys: tuple[str, ...]
    captured: str


def holds_secret(steps: Sequence[Step], mask: Mask) -> bool:
    """Whether a secret stands in what these staged steps do: without the mask their digest is another one."""
    actions = tuple(step.actions for step in steps)
    return digest("steps.v1", actions, mask=mask) != digest("steps.v1", actions)


def chain(
    source: ExactSource,
    facts: Sequence[tuple[str, str]],
    prepare: Sequence[Action],
    steps: Sequence[Step],
    finish: Sequence[Action],
    mask: Mask,
) -> Chain:
    """The keys of a build. `facts` are the machine's; `prepare` comes before the first step, `finish` after the last.

    Names, limits, sizes, tags and targets do not count. Order does. Every content must be staged. In the steps a
    secret counts by its name; what chooses the source is none.
    """
    start = digest("imagewright.source.v1", source.identity, tuple(facts))
    keys = [digest("imagewright.chain.v2", start, tuple(prepare), mask=mask)]
    for step in steps:
        keys.append(digest("imagewright.chain.v2", keys[-1], digest("step.v1", step.actions, mask=mask)))
    return Chain(tuple(keys), digest("imagewright.captured.v1", keys[-1], tuple(finish), mask=mask))


def verdict(disk: Disk, validators: Sequence[Step], mask: Mask) -> str:
    """The key of the fact that this very disk has passed these validators; `""` for a disk that nobody keeps."""
    passed = tuple(step.actions for step in validators)
    return disk.identity and digest("imagewright.verdict.v1", disk.identity, passed, mask=mask)
