"""What the platform sends, held to Azure's published OpenAPI documents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from armsim import Simulator
from azure_world import AzureWorld
from sdk import Sdk

from imagewright.core.plan import MachineSpec
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy, Keep
from imagewright.platforms.azure.choices import Reach

CHECK = Path(__file__).parents[3] / "shared" / "conformance" / "check.mjs"
OAV = Path(os.environ.get("OAV_HOME", Path.home() / ".cache" / "oav"))

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not CHECK.is_file(), reason="../shared is not here"),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (OAV / "node_modules" / "oav").is_dir(), reason="oav is not installed (conformance/README)"
    ),
]


def test_builds_conform_to_the_published_documents(start: Callable[..., Simulator], tmp_path: Path) -> None:
    record = tmp_path / "traffic.jsonl"
    simulator = start(record=record)
    with Sdk(simulator) as sdk:
        world = AzureWorld(simulator, tmp_path, sdk)
        targets = (world.shared(), world.managed(), world.vhd())
        policy = CachePolicy(keep=Keep.ALL)
        machine = MachineSpec(data_disk_sizes_gb=(4,))
        for text in ("echo one", "echo two"):
            plan = world.plan("true", text, targets=targets, machine=machine)
            result = world.build(plan, policy, spot=True, end_of_life_days=30, zones=("1",))
            assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
        result = world.build(world.plan("echo three"), reach=Reach.AGENT)
        assert result.state is RunState.SUCCEEDED, result.failure
    done = subprocess.run(
        ["node", str(CHECK), str(record)],
        env=os.environ | {"OAV_HOME": str(OAV)}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    checked = re.search(r"(\d+) exchanges checked", done.stdout)
    assert checked is not None
    assert int(checked[1]) > 100
