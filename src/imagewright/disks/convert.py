"""One disk format to another, by qemu-img: sparse, with progress, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from imagewright.disks import tools

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_PERCENT = re.compile(r"\(\s*([0-9.]+)/100%\)")


def convert(
    source: Path,
    source_format: str,
    target: Path,
    target_format: str,
    *,
    size: int = 0,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Copy the disk `source` to `target`; zeros become holes. `size` is what `progress` is told as the whole.

    `target` is written in place and removed again when anything goes wrong: give a temporary name, then rename.
    Raises tools.ToolError.
    """

    def tell(line: str) -> None:
        if progress is not None and (found := _PERCENT.search(line)):
            progress(int(size * float(found[1]) / 100), size)

    argv = ["qemu-img", "convert", "-p", "-f", source_format, "-O", target_format]
    try:
        tools.run([*argv, source, target], on_line=tell, check=check)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if progress is not None:
        progress(size, size)
