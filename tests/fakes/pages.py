"""What a page tells its readers to copy."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def block(page: str, beginning: str) -> str:
    """The block of YAML on a page with a line that begins so."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (found,) = [each for each in blocks if any(line.startswith(beginning) for line in each.splitlines())]
    return str(found)
