"""Bare facts about keys, as tags of the cache group: no snapshot, no cost. Of 50 the oldest give way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import BuildTimeoutError, ImagewrightError, PlatformError
from imagewright.platforms.azure import names
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.choices import AzureChoices

MARK, MARKS = "imagewright-mark-", 30
LOOK_SECONDS = 120.0
TROUBLE = (PlatformError, BuildTimeoutError)
"""What a cache may meet, and go on without."""


class Marks:
    """What goes wrong is told to `tell`, and then nothing is marked."""

    def __init__(
        self, arm: Arm, choices: AzureChoices, clock: Clock, tell: Callable[[ImagewrightError], None]
    ) -> None:
        self._arm = arm
        self._choices = choices
        self._clock = clock
        self._tell = tell
        self._facts: dict[str, str] | None = None

    def has(self, key: str) -> bool:
        if self._facts is None:
            self._facts = self._tags() or {}
        until = names.moment(self._facts.get(MARK + key[:48], ""))
        return until is not None and until > self._clock.now()

    def add(self, key: str) -> None:
        tags = self._tags()
        if tags is None:
            return
        until = names.stamp(self._clock.now() + timedelta(days=self._choices.cache_days))
        facts = {name: text for name, text in tags.items() if name.startswith(MARK)}
        others = {name: text for name, text in tags.items() if not name.startswith(MARK)}
        newest = sorted(facts.items(), key=lambda each: each[1])[-MARKS:]
        body = {"tags": others | dict(newest) | {MARK + key[:48]: until}}
        try:
            self._arm.ask(
                "keeping a fact in the cache group",
                self._deadline(),
                lambda c, k: c.resources.resource_groups.update(self._choices.cache_group, body, **k),
            )
        except TROUBLE as error:  # without it the validators run again: no reason to fail
            self._tell(error)

    def _tags(self) -> dict[str, str] | None:
        group = self._choices.cache_group
        try:
            found = self._arm.find(
                f"looking up the cache group {group}",
                self._deadline(),
                lambda c, k: c.resources.resource_groups.get(group, **k),
            )
        except TROUBLE as error:
            self._tell(error)
            return None
        return None if found is None else dict(found.get("tags") or {})

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, LOOK_SECONDS, "looking after the checkpoints")
