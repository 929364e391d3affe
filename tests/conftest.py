"""Makes `tests/fakes` importable: stateful stand-ins for the ports, shared by all tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "fakes"))
