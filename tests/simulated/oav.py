"""Microsoft's checker of requests and answers, oav, and the check of ../shared that runs it on recorded traffic."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from armsim.azurite import CannotRunError, npm_install
from shapes import Shape, shape

SHARED = Path(__file__).parents[3] / "shared"
CHECK = SHARED / "conformance" / "check.mjs"
OAV = "oav@4.0.3"


def lacking() -> str:
    """Why nothing can be checked here; `""` when it can."""
    if not CHECK.is_file():
        return "../shared is not here"
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"{', '.join(missing)} is not installed" if missing else ""


TAGS = "/providers/microsoft.resources/tags/"
"""An extension of other resources, whose document is not held."""


def installed() -> Path:
    """The folder of oav; installs it with npm the first time."""
    home = Path(os.environ.get("OAV_HOME", Path.home() / ".cache" / "oav"))
    npm_install(OAV, home)
    return home


def check(*records: Path) -> tuple[str, int]:
    """(what is wrong with the recorded exchanges, `""` for nothing; how many were checked)."""
    done = subprocess.run(
        ["node", str(CHECK), *map(str, records)],
        env=os.environ | {"OAV_HOME": str(installed())}, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    found = re.search(r"(\d+) exchanges checked", done.stdout)
    wrong = "" if done.returncode == 0 else (done.stdout[-4000:] + done.stderr[-1000:]).strip() or "it failed"
    return wrong, int(found[1]) if found else 0


def each_kind_once(records: Iterable[Path], into: Path) -> int:
    """Of exchanges of the same shape and with bodies of the same form, one; how many they are."""
    seen: set[tuple[Shape, int, str]] = set()
    with into.open("w", encoding="utf-8") as out:
        for line in _lines(records):
            exchange = json.loads(line)
            request, response = exchange["request"], exchange["response"]
            path = request["url"].partition("?")[0].removeprefix("https://management.azure.com")
            if TAGS in path.lower():
                continue
            form = json.dumps([_form(request["body"]), _form(response["body"])])
            key = (shape(request["method"], path), response["status"], form)
            if key not in seen:
                seen.add(key)
                out.write(line)
    return len(seen)


def _lines(records: Iterable[Path]) -> Iterator[str]:
    for record in records:
        with record.open(encoding="utf-8") as file:
            yield from file


def _form(value: Any) -> Any:
    """A body without what its strings and numbers say."""
    if isinstance(value, dict):
        return {key: _form(inner) for key, inner in sorted(value.items()) if key != "tags"}
    if isinstance(value, list):
        return [_form(inner) for inner in value[:1]]
    return type(value).__name__


__all__ = ["CannotRunError", "check", "each_kind_once", "installed", "lacking"]
