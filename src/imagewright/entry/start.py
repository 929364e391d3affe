"""Where every process of ours begins: signals are answered before anything that takes time is imported.

`python -m imagewright.entry.start github build`, by action.yml; `... azure-pipelines build`, by task/index.js.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What cancels. Not every system has each."""

CANCELLED = 130
"""`CancelledError.exit_code`, before errors can be imported."""


def command_line() -> int:
    """`imagewright`."""
    answer_signals()
    from imagewright.entry.cli import main

    return main()


def pipeline(runner: str, *arguments: str) -> int:
    """A step of a pipeline, on `github` or `azure-pipelines`."""
    answer_signals()
    from imagewright.entry.pipeline import main

    if runner == "github":
        from imagewright.entry.github import GitHub

        return main(GitHub(), arguments)
    from imagewright.entry.azure_pipelines import AzurePipelines

    return main(AzurePipelines(), arguments)


def answer_signals() -> None:
    """Before `entry/signals.py` takes over, and after it, there is nothing to clean up: the process ends at once.

    Python, at its very end, puts back the handlers that it found: without more, a signal then would replace the exit
    code.
    """
    atexit.register(_answer, signal.SIG_IGN)
    _answer(_end)


def _answer(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    for name in NAMES:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    """Without an exception: whoever is being imported might catch it."""
    try:
        os.write(2, f"cancelled by {signal.Signals(number).name}\n".encode())
    finally:
        os._exit(CANCELLED)


if __name__ == "__main__":
    sys.exit(pipeline(*sys.argv[1:]))
