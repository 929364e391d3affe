"""What an entry point orders: one image, built or only planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright.options import Options

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.core.plan import Plan

Prepare = Callable[["Plan"], "Plan"]
"""What an entry point does to a plan before it is run (build artifacts, tags of the pipeline)."""


@dataclass(frozen=True, slots=True)
class Order:
    """The options, and what an entry point knows besides.

    `stdin` is the template where the options name `-`. Relative paths in the template start from `directory`, by
    default from its own. Without `sign_in` the platform looks for a credential by itself.
    """

    options: Options
    stdin: bytes = b""
    directory: Path | None = None
    prepare: Prepare | None = None
    sign_in: SignIn | None = None
