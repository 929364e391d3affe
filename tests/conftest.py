"""Makes `tests/fakes` importable: stateful stand-ins for the ports, shared by all; has simulated traffic recorded."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "fakes"))
sys.path.insert(0, str(Path(__file__).parent / "simulated"))

pytest_plugins = ("recording",)
