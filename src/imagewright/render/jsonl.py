"""A build as JSON lines: one object per event, for programs and for the log that each build leaves.

Every object has `event` (a name of the list below, it does not change) and `time` (ISO 8601, UTC).
"""

from __future__ import annotations

import json
from typing import TextIO, assert_never

from imagewright.core.clock import Clock
from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Diagnosed,
    Event,
    Note,
    Output,
    PhaseFinished,
    PhaseStarted,
    Progress,
    StepFinished,
    StepStarted,
)
from imagewright.render.result_json import Json, diagnostic_json, result_json


class JsonLines:
    """Writes to `stream`, flushed after each line. The text is ASCII and holds nothing that a runner would obey."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock

    def __call__(self, event: Event) -> None:
        time = self._clock.now().isoformat(timespec="milliseconds")
        text = json.dumps({"time": time, **event_json(event)})
        self._stream.write(text.replace("##", "#\\u0023") + "\n")
        self._stream.flush()


def event_json(event: Event) -> Json:
    """The object of one event, without its time."""
    match event:
        case BuildStarted():
            return {
                "event": "buildStarted",
                "buildId": event.build_id,
                "template": event.template,
                "platform": event.platform,
            }
        case PhaseStarted():
            return {"event": "phaseStarted", "phase": str(event.phase)}
        case PhaseFinished():
            return {"event": "phaseFinished", "phase": str(event.phase), "seconds": round(event.seconds, 3)}
        case StepStarted():
            return {"event": "stepStarted", **_step(event)}
        case StepFinished():
            ended: Json = {"outcome": str(event.outcome), "seconds": round(event.seconds, 3)}
            return {"event": "stepFinished", **_step(event), **ended}
        case Output():
            return {"event": "output", "stream": str(event.stream), "line": event.line}
        case Progress():
            return {
                "event": "progress",
                "label": event.label,
                "done": event.done,
                "total": event.total,
                "unit": event.unit,
            }
        case Note():
            return {"event": "note", "level": str(event.level), "message": event.message, "hint": event.hint}
        case Diagnosed():
            file = event.diagnostic.origin.file
            return {"event": "diagnostic", "file": file, **diagnostic_json(event.diagnostic)}
        case BuildFinished():
            return {"event": "buildFinished", "result": result_json(event.result)}
        case _:
            assert_never(event)


def _step(event: StepStarted | StepFinished) -> Json:
    return {
        "kind": str(event.kind),
        "number": event.number,
        "total": event.total,
        "name": event.name,
        "type": event.type,
    }
