"""Each folder here is a stream of events beside what every renderer makes of it.

IMAGEWRIGHT_ACCEPT=1 writes the expected files anew; read the difference before you commit it.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from manual_clock import ManualClock

from imagewright.core.events import BuildFinished, Emit, Event
from imagewright.core.secret import Mask
from imagewright.render.azure_pipelines import AzurePipelinesDialect
from imagewright.render.detail import Detail, only
from imagewright.render.excerpt import Excerpts
from imagewright.render.github import GitHubDialect
from imagewright.render.jsonl import JsonLines
from imagewright.render.pipeline import Dialect, PipelineLog
from imagewright.render.plain import Plain
from imagewright.render.redact import Redact
from imagewright.render.result_json import write_result
from imagewright.render.summary import build_summary

CASES = sorted(path.parent.name for path in Path(__file__).parent.glob("*/events.py"))
Make = Callable[[io.StringIO, ManualClock, Excerpts], Emit]


def pipeline(dialect: Dialect) -> Make:
    return lambda out, clock, excerpts: PipelineLog(out, clock, excerpts, dialect, workspace=Path.cwd())


def summary(out: io.StringIO, clock: ManualClock, excerpts: Excerpts) -> Emit:
    def tell(event: Event) -> None:
        if isinstance(event, BuildFinished):
            out.write(build_summary(event.result, run_url="https://runner.example/runs/1"))

    return tell


RENDERERS: dict[str, Make] = {
    "plain.txt": lambda out, clock, excerpts: only(Detail.NORMAL, Plain(out, clock, excerpts)),
    "quiet.txt": lambda out, clock, excerpts: only(Detail.QUIET, Plain(out, clock, excerpts)),
    "verbose.txt": lambda out, clock, excerpts: only(Detail.VERBOSE, Plain(out, clock, excerpts)),
    "events.jsonl": lambda out, clock, excerpts: JsonLines(out, clock),
    "github.txt": pipeline(GitHubDialect("token")),
    "azure_pipelines.txt": pipeline(AzurePipelinesDialect()),
    "summary.md": summary,
}


def case(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"renderers_{name}", Path(__file__).parent / name / "events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def play(name: str, make: Make) -> str:
    stream, out, clock = case(name), io.StringIO(), ManualClock()
    show = Redact(mask=getattr(stream, "MASK", Mask()))
    show.join(make(out, clock, Excerpts(mask=show.text)))
    for event in stream.EVENTS:
        if isinstance(event, int | float):
            clock.passed += event
        else:
            show(event)
    return out.getvalue()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("expected", RENDERERS)
def test_a_stream_is_rendered_as_expected(name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parent / name
    monkeypatch.chdir(folder)
    text = play(name, RENDERERS[expected])
    if os.environ.get("IMAGEWRIGHT_ACCEPT"):
        (folder / expected).write_text(text, encoding="utf-8")
    assert text == (folder / expected).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_a_result_is_written_as_expected(name: str, tmp_path: Path) -> None:
    stream = case(name)
    (finished,) = [event for event in stream.EVENTS if isinstance(event, BuildFinished)]
    show = Redact(mask=getattr(stream, "MASK", Mask()))
    write_result(show.masked(finished.result), tmp_path / "deep" / "result.json")
    text = (tmp_path / "deep" / "result.json").read_text(encoding="utf-8")
    expected = Path(__file__).parent / name / "result.json"
    if os.environ.get("IMAGEWRIGHT_ACCEPT"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["result.json"]


@pytest.mark.parametrize("expected", [*RENDERERS, "result.json"])
def test_no_secret_is_in_any_of_them(expected: str) -> None:
    secret = case("fails").SECRET
    assert secret not in (Path(__file__).parent / "fails" / expected).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_no_runner_obeys_json_lines(name: str) -> None:
    for line in play(name, RENDERERS["events.jsonl"]).splitlines():
        assert line.isascii()
        assert line.startswith("{")
        assert "##" not in line
    outputs = [json.loads(line) for line in play(name, RENDERERS["events.jsonl"]).splitlines()]
    given = [event.line for event in case(name).EVENTS if type(event).__name__ == "Output"]
    if name != "fails":
        assert [each["line"] for each in outputs if each["event"] == "output"] == given
