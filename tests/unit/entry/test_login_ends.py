from __future__ import annotations

import sys
from pathlib import Path

import pytest
from manual_clock import ManualClock
from small_plan import small_plan

from imagewright.core.credential import AzureCli, SignIn
from imagewright.entry.credentials import LOGIN_SECONDS
from imagewright.entry.github import GitHub
from imagewright.entry.inputs import read
from imagewright.entry.preparation import Preparation
from imagewright.render.excerpt import Excerpts
from imagewright.render.pipeline import PipelineLog
from imagewright.render.redact import Redact


@pytest.mark.parametrize(("sign_in", "minutes", "warned"), [
    (SignIn(AzureCli(), seconds=LOGIN_SECONDS), 56, True),
    (SignIn(AzureCli(), seconds=LOGIN_SECONDS), 55, False),
    (SignIn(AzureCli()), 240, False),
    (None, 240, False),
])  # fmt: skip
def test_a_build_that_may_outlive_the_login_of_az_is_warned_of(
    sign_in: SignIn | None, minutes: int, warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = GitHub({"RUNNER_TEMP": str(tmp_path), "INPUT_TEMPLATE": "web.json"})
    show = Redact()
    log = PipelineLog(
        sys.stdout, ManualClock(), Excerpts(mask=show.text), runner.dialect, workspace=tmp_path, verbose=False
    )
    show.join(log)
    request = read(runner.inputs(), runner.environment, lambda name, _: name, unknown=())
    prepare = Preparation(runner, request, "", sign_in, tmp_path, show, lambda value: None)
    prepare(small_plan(timeout=minutes * 60.0))
    assert ("the login of `az` may end after 55 minutes" in capsys.readouterr().out) is warned
