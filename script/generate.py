"""Write the files that are made from the sources: `uv run python script/generate.py [--check]`.

With `--check` nothing is written, and the exit code is 1 when a file is stale.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from imagewright.options.action_yml import action_yml
from imagewright.options.pipeline_reference import pipeline_reference
from imagewright.options.reference import reference
from imagewright.options.task_json import task_json

ROOT = Path(__file__).resolve().parents[1]


def version() -> str:
    """The package's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


GENERATED: dict[str, Callable[[], str]] = {
    "docs/reference/options.md": reference,
    "docs/reference/pipeline.md": pipeline_reference,
    "action.yml": action_yml,
    "task.json": lambda: task_json(version()),
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
