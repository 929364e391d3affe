from __future__ import annotations

from imagewright.core.result import BuildResult, Failure, Phase, PhaseReport, RunOutput, RunState, StepReport
from imagewright.render.summary import LONGEST, build_summary, capped, code, escaped, fenced, skipped_summary


def result(**more: object) -> BuildResult:
    return BuildResult("b-1", "web", "azure", RunState.SUCCEEDED, seconds=61.0, **more)  # type: ignore[arg-type]


def test_it_says_what_came_out_from_what_and_where_the_log_is() -> None:
    page = build_summary(
        result(
            run_outputs=(RunOutput("sig", "/s/versions/1.0.3", version="1.0.3", regions=("westeurope", "uksouth")),),
            source="Debian:debian-12:12-gen2:latest (0.20260301.1)",
            steps=(
                StepReport("a", "Shell", cached=True, seconds=0.0),
                StepReport("b", "File", cached=False, seconds=4.0),
            ),
            phases=(PhaseReport(Phase.BUILDING, 30.0),),
            log="/tmp/log.jsonl",
        ),
        run_url="https://github.com/o/r/actions/runs/1",
    )
    assert "| sig | <code>/s/versions/1.0.3</code> | 1.0.3 | westeurope, uksouth |" in page
    assert "0.20260301.1" in page
    assert "| 1 | Shell | a | cached |" in page
    assert "| 2 | File | b | 4.0 s |" in page
    assert "| Building | 30 s |" in page
    assert "1 of 2 steps from the cache" in page
    assert "[the run](https://github.com/o/r/actions/runs/1)" in page


def test_strangers_break_neither_table_nor_page() -> None:
    evil = "a|b\n<script>x</script> [x](javascript:y) `c`"
    page = build_summary(
        result(run_outputs=(RunOutput(evil, evil, version=evil),), steps=(StepReport(evil, evil, False, 1.0),))
    )
    assert "<script>" not in page
    assert "](javascript" not in page
    rows = [line for line in page.splitlines() if "script&gt;" in line]
    assert len(rows) == 2
    assert all(row.startswith("| ") and row.endswith(" |") for row in rows)


def test_guest_output_stays_in_its_block() -> None:
    failure = Failure("CustomizationError", "failed", output=("```", "# not a heading", "````"))
    page = build_summary(BuildResult("b", "web", "local", RunState.FAILED, failure=failure))
    assert "`````text\n```\n# not a heading\n````\n`````" in page


def test_it_stays_far_below_what_the_runner_takes() -> None:
    output = tuple("x" * 4000 for _ in range(200))
    names = tuple(StepReport("n" * 4000, "Shell", cached=False, seconds=1.0) for _ in range(500))
    page = build_summary(result(failure=Failure("E", "m", output=output), steps=names))
    assert len(page.encode()) <= LONGEST + 200
    assert page.endswith("… the rest is in the log\n")


def test_a_cut_closes_the_block_of_code() -> None:
    assert capped("a\n```text\n" + "x\n" * 100, 50).count("```") == 2


def test_text_and_code() -> None:
    assert escaped("a_b*c") == "a\\_b\\*c"
    assert code("a|b<c>") == "<code>a&#124;b&lt;c&gt;</code>"
    assert code("") == ""
    assert fenced(["a"]) == "```text\na\n```"
    assert "Skipped" in skipped_summary("web", "1.2.3")
