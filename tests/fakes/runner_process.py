"""A process as both runners start it and end it: SIGINT, 7.5 s, SIGTERM, 2.5 s, kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INTERRUPT_SECONDS = 7.5
TERMINATE_SECONDS = 2.5


@dataclass(frozen=True)
class Ended:
    """What came of it. `asked` is when it was asked to stop (monotonic), `seconds` how long it lived after that."""

    code: int
    log: str
    asked: float = 0.0
    seconds: float = 0.0
    signals: int = 0


def run_to_end(
    command: list[str],
    directory: Path,
    environment: dict[str, str],
    file: Path,
    cancel_when: Callable[[str], bool] | None = None,
    *,
    group: bool = False,
) -> Ended:
    """Its output goes to `file`; `cancel_when` is asked with it. The first signal goes to the process alone, which is
    what the runners do, or to the whole `group`, as from a terminal."""
    with file.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    signals, asked = 0, 0.0
    while process.poll() is None:
        now = time.monotonic()
        if not signals and cancel_when and cancel_when(file.read_text("utf-8", errors="replace")):
            asked, signals = now, 1
            os.killpg(process.pid, signal.SIGINT) if group else process.send_signal(signal.SIGINT)
        elif signals == 1 and now - asked > INTERRUPT_SECONDS:
            signals = 2
            process.send_signal(signal.SIGTERM)
        elif signals == 2 and now - asked > INTERRUPT_SECONDS + TERMINATE_SECONDS:
            signals = 3
            process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    seconds = time.monotonic() - asked if signals else 0.0
    return Ended(process.returncode, file.read_text("utf-8", errors="replace"), asked, seconds, signals)
