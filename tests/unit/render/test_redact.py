from __future__ import annotations

import threading

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.events import BuildFinished, Diagnosed, Event, Level, Note, Output
from imagewright.core.origin import Origin
from imagewright.core.result import BuildResult, Failure, RunOutput, RunState
from imagewright.core.secret import Mask, Secret
from imagewright.render.redact import Redact, masked

SECRET = "s3cret-value"
MASK = Mask((Secret("password", SECRET),))


def test_a_secret_is_masked_however_deep_it_stands() -> None:
    result = BuildResult(
        "id",
        "web",
        "local",
        RunState.FAILED,
        run_outputs=(RunOutput("out", artifact_uri=f"https://x/?sig={SECRET}"),),
        failure=Failure("Error", f"a {SECRET}", f"b {SECRET}", Origin(SECRET), output=(f"c {SECRET}",)),
    )
    shown = masked(BuildFinished(result), MASK)
    assert SECRET not in repr(shown)
    assert repr(shown).count("${password}") == 5
    assert shown.result.state is RunState.FAILED


def test_every_sink_sees_the_masked_event() -> None:
    first: list[Event] = []
    second: list[Event] = []
    show = Redact(first.append, second.append)
    show.learn(MASK)
    show.learn(MASK)
    show(Output(f"x {SECRET}"))
    show(Diagnosed(Diagnostic(Severity.ERROR, "code", SECRET, Origin("f"))))
    assert first == second
    assert first[0] == Output("x ${password}")
    assert len(show.mask.secrets) == 1
    assert show.text(SECRET) == "${password}"


def test_a_sink_that_breaks_is_dropped_and_the_others_are_told() -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    show = Redact(broken, seen.append)
    show(Output("one"))
    show(Output("two"))
    assert [event for event in seen if isinstance(event, Output)] == [Output("one"), Output("two")]
    (note,) = [event for event in seen if isinstance(event, Note)]
    assert note.level is Level.WARNING


def test_events_of_several_threads_come_one_at_a_time() -> None:
    inside = threading.Lock()
    count = 0

    def sink(event: Event) -> None:
        nonlocal count
        assert inside.acquire(blocking=False)
        count += 1
        inside.release()

    show = Redact(sink)
    threads = [threading.Thread(target=lambda: [show(Output("x")) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 800
