"""Write the files that are made from the sources: `uv run python script/generate.py [--check]`.

With `--check` nothing is written, and the exit code is 1 when a file is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from imagewright.options.reference import reference

ROOT = Path(__file__).resolve().parents[1]

GENERATED: dict[str, Callable[[], str]] = {
    "docs/reference/options.md": reference,
}


def stale() -> list[str]:
    """The generated files that differ from what the sources say now."""
    return [name for name, make in GENERATED.items() if _text(ROOT / name) != make()]


def main(arguments: list[str]) -> int:
    names = stale()
    for name in names:
        print(f"stale: {name}" if "--check" in arguments else f"wrote {name}")
    if "--check" in arguments:
        return 1 if names else 0
    for name in names:
        target = ROOT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(GENERATED[name](), encoding="utf-8")
    return 0


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
