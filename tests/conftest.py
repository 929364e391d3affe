"""Makes `tests/fakes` importable: stateful stand-ins for the ports, shared by all; has simulated traffic recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fakes"))
sys.path.insert(0, str(Path(__file__).parent / "simulated"))

pytest_plugins = ("recording",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: the others then fill what is left of each worker's time."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
