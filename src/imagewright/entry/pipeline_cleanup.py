"""The step after the build, which always runs: it finishes what a cancelled or killed build had no time for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright import app
from imagewright.core.clock import Clock
from imagewright.core.errors import AuthenticationError, LeftBehindError
from imagewright.entry.inputs import Request, read
from imagewright.entry.noted import Noted
from imagewright.render.pipeline import PipelineLog
from imagewright.render.redact import Redact

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.entry.runner import Runner

DYING_SECONDS = 60.0
"""How long the clean-up waits for a build that was told to end: it may still be deleting."""


def clean_up(
    runner: Runner, noted: Noted, show: Redact, log: PipelineLog, clock: Clock, sign_in: Callable[[Request], SignIn]
) -> int:
    """Returns the exit code. Nobody signs in unless something is left."""
    pending = [ledger for ledger in noted.ledgers() if ledger.is_file()]
    if not pending:
        log.say(["nothing is left to clean up"])
        return 0
    request = read(runner.inputs(), runner.environment, lambda name, _: name, unknown=())
    found = _signed_in(request, sign_in)
    left = sum(_cleaned(ledger, request, show, log, clock, found) for ledger in pending)
    return LeftBehindError.exit_code if left else 0


def _cleaned(
    ledger: Path, request: Request, show: Redact, log: PipelineLog, clock: Clock, sign_in: SignIn | None
) -> int:
    """How much of one build is still there."""
    options = request.options
    if sign_in is not None and not options.subscription:
        options = replace(options, subscription=sign_in.subscription)
    report = app.cleanup(replace(options, ledger=ledger), show, patience=DYING_SECONDS, clock=clock, sign_in=sign_in)
    for build in report.running:
        what = f"build {build} still runs: what it owns was not deleted"
        log.error(LeftBehindError(what, hint="run `imagewright cleanup` when it has ended"))
    return len(report.left) + len(report.running)


def _signed_in(request: Request, sign_in: Callable[[Request], SignIn]) -> SignIn | None:
    """A job that built on the runner itself has nothing to sign in with, and needs nothing."""
    try:
        return sign_in(request)
    except AuthenticationError:
        return None
