from __future__ import annotations

import io
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manual_clock import ManualClock
from runner_grammar import Command, azure_commands, github_commands

from imagewright.core.errors import CancelledError, Diagnostic, OptionsError, Severity, TemplateError
from imagewright.core.events import (
    BuildFinished,
    Diagnosed,
    Level,
    Note,
    Output,
    PhaseFinished,
    PhaseStarted,
    Progress,
    StepFinished,
    StepKind,
    StepOutcome,
    StepStarted,
)
from imagewright.core.origin import Origin
from imagewright.core.result import BuildResult, Failure, Phase, RunState
from imagewright.core.secret import Mask, Secret
from imagewright.render import azure_pipelines, github
from imagewright.render.azure_pipelines import AzurePipelinesDialect
from imagewright.render.excerpt import Excerpts
from imagewright.render.github import GitHubDialect
from imagewright.render.pipeline import ANNOTATIONS, Dialect, PipelineLog

DIALECTS = {"github": GitHubDialect.fresh(), "azure": AzurePipelinesDialect()}
READERS = {"github": github_commands, "azure": azure_commands}
EVIL = [
    "::set-output name=image-id::evil",
    "  ::add-path::/evil",
    "::stop-commands::x",
    "##[set-env name=PATH;]/evil",
    "##vso[task.setvariable variable=imageId;isOutput=true;]evil",
    "x ##VSO[task.complete result=Succeeded;]",
    "#\x1b[0m#vso[task.complete result=Succeeded;]",
    "##\u200bvso[task.complete result=Succeeded;]",
    "a\r::error::evil",
    "a\n::error::evil",
    "a\u2028::error::evil",
]


class Log:
    def __init__(self, name: str, *, verbose: bool = False) -> None:
        self.stream = io.StringIO()
        self.clock = ManualClock()
        dialect: Dialect = DIALECTS[name]  # type: ignore[assignment]
        self.read = READERS[name]
        self.show = PipelineLog(
            self.stream, self.clock, Excerpts(), dialect, workspace=Path("/repo"), verbose=verbose
        )

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def commands(self) -> list[Command]:
        return self.read(self.text)

    def of(self, *names: str) -> list[Command]:
        return [command for command in self.commands() if command.name in names]


@pytest.fixture(params=list(DIALECTS))
def log(request: pytest.FixtureRequest) -> Log:
    return Log(request.param)


def annotations(log: Log) -> list[Command]:
    return log.of("error", "warning", "task.logissue")


@pytest.mark.parametrize("line", EVIL)
def test_no_runner_obeys_a_guest(log: Log, line: str) -> None:
    log.show(Output(line))
    log.show.close()
    log.show.say(["end"])
    assert log.commands() == []


@pytest.mark.parametrize("line", EVIL)
def test_no_runner_obeys_a_name_from_the_template(log: Log, line: str) -> None:
    step = (StepKind.CUSTOMIZER, 1, 1, line, "Shell")
    log.show(StepStarted(*step))
    log.show(Output("x"))
    log.show(StepFinished(*step, StepOutcome.RAN, 1.0))
    log.show(Note(line))
    names = {command.name for command in log.commands()}
    assert names <= {"group", "endgroup", "task.setprogress"}


@pytest.mark.parametrize("name", list(DIALECTS))
@given(lines=st.lists(st.text() | st.sampled_from(EVIL), max_size=5))
def test_whatever_a_guest_prints_is_only_shown(name: str, lines: list[str]) -> None:
    log = Log(name)
    for line in lines:
        log.show(Output(line))
    log.show.say(["end"])
    assert log.commands() == []
    assert log.text.endswith("end\n")


words = st.text(max_size=10).map(str.strip)


@given(message=st.text(), title=words, file=words.filter(bool))
def test_what_is_escaped_is_read_back(message: str, title: str, file: str) -> None:
    origin = Origin(file, 3, 4)
    (found,) = github_commands(GitHubDialect("t").annotation(Severity.ERROR, message, title, origin))
    assert (found.message, found.properties.get("title", ""), found.properties["file"]) == (message, title, file)
    (found,) = azure_commands(AzurePipelinesDialect().annotation(Severity.ERROR, message, title, origin))
    assert (found.message, found.properties.get("code", ""), found.properties["sourcepath"]) == (message, title, file)


def test_a_finding_is_an_annotation_at_its_line(log: Log) -> None:
    origin = Origin("/repo/images/web.json", 12, 5)
    log.show(Diagnosed(Diagnostic(Severity.ERROR, "bad-thing", "this is bad", origin, "make it good")))
    (found,) = annotations(log)
    place = found.properties
    assert found.message == "this is bad\nhint: make it good"
    assert (place.get("file") or place["sourcepath"]) == "images/web.json"
    assert (place.get("line") or place["linenumber"]) == "12"
    assert (place.get("col") or place["columnnumber"]) == "5"
    assert (place.get("title") or place["code"]) == "bad-thing"


def test_a_failure_quotes_the_last_words_of_the_guest(log: Log) -> None:
    failure = Failure(
        "CustomizationError", "customizer 2 failed", "mend it", Origin("web.json", 3), 3, ("no", "space")
    )
    log.show(BuildFinished(BuildResult("b", "web", "local", RunState.FAILED, failure=failure)))
    (found,) = annotations(log)
    assert found.message == "customizer 2 failed\nhint: mend it\n| no\n| space"


def test_more_annotations_than_a_runner_shows_are_lines(log: Log) -> None:
    findings = [Diagnostic(Severity.ERROR, "c", f"bad {number}", Origin("")) for number in range(ANNOTATIONS + 5)]
    log.show.error(TemplateError(findings))
    assert len(annotations(log)) == ANNOTATIONS
    assert f"error: bad {ANNOTATIONS + 4}" in log.text


def test_our_own_error_is_an_annotation(log: Log) -> None:
    log.show.error(OptionsError("no such thing", hint="try another"))
    (found,) = annotations(log)
    assert found.message == "no such thing\nhint: try another"


def test_groups_open_with_their_first_line_and_do_not_nest(log: Log) -> None:
    log.show(PhaseStarted(Phase.CUSTOMIZING))
    log.show(StepStarted(StepKind.CUSTOMIZER, 1, 2, "a", "Shell"))
    log.show(Output("hello"))
    log.show(PhaseFinished(Phase.CUSTOMIZING, 3.0))
    groups = [line for line in log.text.splitlines() if "group" in line]
    assert len(groups) == 2
    assert "step 1/2 Shell a" in groups[0]
    assert "endgroup" in groups[1]
    assert "Customizing took 3.0 s" in log.text


def test_long_work_is_told_now_and_then(log: Log) -> None:
    for done in range(61):
        log.show(Progress("web.vhd", done, 60))
        log.clock.wait(1)
    assert log.text.count("web.vhd") == 4


def test_decisions_are_hidden_unless_somebody_asks(log: Log) -> None:
    log.show(Note("kvm works", Level.DEBUG))
    (hidden,) = log.of("debug", "task.debug")
    assert hidden.message == "kvm works"
    asked = Log("github", verbose=True)
    asked.show(Note("kvm works", Level.DEBUG))
    assert asked.text == "kvm works\n"


def test_azure_is_told_how_far_the_build_is() -> None:
    log = Log("azure")
    for phase in Phase:
        log.show(PhaseStarted(phase))
        log.show(PhaseFinished(phase, 1.0))
    percents = [int(command.properties["value"]) for command in log.of("task.setprogress")]
    assert percents == sorted(percents)
    assert 0 <= percents[0] <= percents[-1] <= 100


def test_a_mask_covers_every_line() -> None:
    assert [c.message for c in github_commands("\n".join(github.masks("first\nsecond")))] == ["first", "second"]
    assert [c.message for c in azure_commands("\n".join(azure_pipelines.masks("first\r\nsecond\n")))] == [
        "first", "second",
    ]  # fmt: skip
    assert github.masks(" ") == azure_pipelines.masks("\n") == []


def test_what_is_too_short_to_be_a_secret_is_masked_nowhere() -> None:
    """A mask of `1` would star out every digit of the log."""
    assert github.masks("1") == azure_pipelines.masks("1") == []
    assert [c.message for c in github_commands("\n".join(github.masks("{\n  long secret\n}")))] == ["  long secret"]
    assert Mask((Secret("pin", "123"),))("1234") == "1234"


class Interrupting(io.StringIO):
    """A log that is written to slowly: a signal comes with one write, before or after its text has gone."""

    def __init__(self, number: int, *, written: bool) -> None:
        super().__init__()
        self.number = number
        self.written = written

    def write(self, text: str) -> int:
        self.number -= 1
        if self.number == 0:
            if self.written:
                super().write(text)
            raise CancelledError("cancelled by SIGINT")
        return super().write(text)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_signal_during_any_write_leaves_a_runner_that_obeys_us_and_no_guest(number: int, *, written: bool) -> None:
    stream = Interrupting(number, written=written)
    show = PipelineLog(stream, ManualClock(), Excerpts(), DIALECTS["github"], workspace=Path("/repo"))
    said = [Output("one"), Note("ours"), Output("::error::evil"), Output("two"), Note("ours", Level.WARNING)]
    for event in said:
        with suppress(CancelledError):
            show(event)
    show.error(OptionsError("the last word"))
    errors = [each.message for each in github_commands(stream.getvalue()) if each.name == "error"]
    assert errors == ["the last word"]


def test_a_mask_from_another_thread_is_obeyed_between_the_lines_of_a_guest() -> None:
    log = Log("github")
    secrets = [f"token-{number}" for number in range(300)]

    def mask() -> None:
        for secret in secrets:
            log.show.command(github.masks(secret))

    other = threading.Thread(target=mask)
    other.start()
    while other.is_alive():
        log.show(Output("x"))
    other.join()
    log.show.say(["end"])
    assert [each.message for each in log.of("add-mask")] == secrets
