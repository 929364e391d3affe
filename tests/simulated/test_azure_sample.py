"""A sample, by the command line, from source to three targets at once."""

from __future__ import annotations

import json
from pathlib import Path

from armsim import Simulator
from azure_world import AzureWorld
from command_line import CommandLine
from sdk import Sdk

SAMPLE = Path(__file__).parents[2] / "samples" / "three-targets" / "template.json"


def test_the_sample_reaches_its_three_targets(simulator: Simulator, sdk: Sdk, tmp_path: Path) -> None:
    world, line = AzureWorld(simulator, tmp_path, sdk), CommandLine(simulator, tmp_path)
    result = tmp_path / "result.json"
    try:
        code, said = line.run(
            "build", str(SAMPLE), "--location", "eastus", "--set", "gallery=images_eastus", "--set", "definition=web",
            "--result", str(result),
        )  # fmt: skip
    finally:
        line.close()
    assert code == 0, said
    found = json.loads(result.read_text())
    assert found["state"] == "Succeeded"
    outputs = {each["name"]: each for each in found["runOutputs"]}
    greeting = (SAMPLE.parent / "greeting.txt").read_bytes()
    for name in ("version", "image"):
        assert simulator.content(outputs[name]["artifactId"]).read("/etc/motd") == greeting
    assert outputs["vhd"]["artifactUri"].endswith(".vhd")
    came = {outputs["version"]["artifactId"], outputs["image"]["artifactId"], outputs["vhd"]["artifactUri"]}
    (account,) = [each for each in world.left() if "/storageAccounts/" in each]  # of the VHD: it outlives builds
    assert world.left() == came | {account} | world.kept()
    assert len([each for each in world.kept() if "/snapshots/" in each]) == 1
