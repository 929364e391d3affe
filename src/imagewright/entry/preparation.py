"""What becomes of a plan before it is run: the pipeline's additions, and warnings that only a plan can give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.core.events import Emit, Event
from imagewright.core.plan import Plan
from imagewright.entry.additions import added
from imagewright.entry.inputs import Request
from imagewright.entry.notes import job_ends, login_ends

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.entry.runner import Runner


class Preparation:
    """An `app.Prepare` for one job. A job may prepare twice, for its source and for its build: each thing is said
    once, and `plan` is what came out last. `mask` hides a value from the runner's logs."""

    def __init__(
        self,
        runner: Runner,
        request: Request,
        artifacts: str,
        sign_in: SignIn | None,
        directory: Path,
        tell: Emit,
        mask: Callable[[str], None],
    ) -> None:
        self.plan: Plan | None = None
        self._runner = runner
        self._request = request
        self._artifacts = artifacts
        self._login_seconds = sign_in.seconds if sign_in else None
        self._directory = directory
        self._tell = tell
        self._mask = mask
        self._told: list[Event] = []

    def __call__(self, plan: Plan) -> Plan:
        for secret in plan.mask.secrets:
            self._mask(secret.reveal())
        self.plan = added(
            plan,
            self._request,
            self._artifacts,
            directory=self._directory,
            own_tags=self._runner.tags,
            tell=self._once,
        )
        minutes = plan.timeout / 60.0
        limit, certain = self._runner.job_minutes(self._request.pipeline.job_timeout)
        for note in (*job_ends(minutes, limit, certain=certain), *login_ends(minutes, self._login_seconds)):
            self._once(note)
        return self.plan

    def _once(self, event: Event) -> None:
        if event not in self._told:
            self._told.append(event)
            self._tell(event)
