"""Writing to somebody who may have gone away (`| head`): he wanted no more, and that is no error."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TextIO


def write_lines(stream: TextIO, lines: Iterable[str]) -> None:
    try:
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()
    except BrokenPipeError:
        to_nowhere(stream)
    except OSError as error:
        from imagewright.core.errors import PlatformError

        to_nowhere(stream)
        raise PlatformError(
            f"the output cannot be written: {error.strerror}", hint="look at where it goes"
        ) from error


def to_nowhere(stream: TextIO) -> None:
    """Otherwise the interpreter complains once more when it flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
