"""Makes `tests/fakes` importable: stateful stand-ins for the ports, shared by all; has simulated traffic recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent / "fakes"))
sys.path.insert(0, str(Path(__file__).parent / "simulated"))

pytest_plugins = ("recording",)

# No test fails for being slow: other work may run beside it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: the others then fill what is left of each worker's time."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
