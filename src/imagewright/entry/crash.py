"""What was not foreseen: one line for the user, the traceback in a file, without secrets."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imagewright.core.clock import Clock
from imagewright.core.errors import ImagewrightError


@contextmanager
def crashes_saved(home: Path, mask: Callable[[str], str], clock: Clock) -> Iterator[None]:
    """An unexpected exception becomes an ImagewrightError that names `<home>/crash-<time>.txt`."""
    try:
        yield
    except (ImagewrightError, BrokenPipeError):
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        trace = mask("".join(traceback.format_exception(error)))
        raise ImagewrightError(
            f"something inside Imagewright went wrong: {mask(what)}", hint=_saved(home, trace, clock)
        ) from error


def _saved(home: Path, trace: str, clock: Clock) -> str:
    try:
        home = home.expanduser()
        file = home / f"crash-{clock.now():%Y%m%d-%H%M%S-%f}.txt"
        home.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(trace, encoding="utf-8", errors="backslashreplace")
    except (OSError, RuntimeError) as error:
        return f"the traceback could not be saved: {error}"
    return f"the traceback is in {file}; please report it"
