"""A local build never loads an Azure SDK."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import imagewright.app, imagewright.entry.cli, imagewright.platforms.local.platform, imagewright.platforms.azure
loaded = [name for name in sys.modules if name == "azure" or name.startswith("azure.")]
sys.exit(f"loaded: {loaded}" if loaded else 0)
"""


def test_no_sdk_is_loaded_before_it_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
