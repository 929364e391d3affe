"""`imagewright doctor --platform azure`, and what the command line says of a whole build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from armsim import Simulator
from azure_world import AzureWorld
from command_line import CommandLine
from sdk import Sdk

from imagewright.core.report import Check, Verdict
from imagewright.platforms.azure import doctor


@pytest.fixture
def world(simulator: Simulator, sdk: Sdk, tmp_path: Path) -> AzureWorld:
    return AzureWorld(simulator, tmp_path, sdk)


@pytest.fixture
def line(simulator: Simulator, tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(simulator, tmp_path)
    yield made
    made.close()


def _checks(world: AzureWorld) -> dict[str, Check]:
    from dataclasses import replace

    return {check.name: check for check in doctor.checks(replace(world.settings(), location="eastus"))}


def test_a_good_subscription(world: AzureWorld) -> None:
    assert {check.verdict for check in _checks(world).values()} == {Verdict.GOOD}


def test_what_is_missing_is_printed_as_a_role(world: AzureWorld) -> None:
    world.simulator.unregister("Microsoft.Network")
    world.simulator.roles.not_actions = ["Microsoft.Compute/snapshots/*", "Microsoft.Network/*/join/action"]
    world.simulator.sizes.limits["cores"] = 1
    found = _checks(world)
    assert found["provider Microsoft.Network"].hint == "az provider register --namespace Microsoft.Network"
    rights = found["rights"]
    assert rights.verdict is Verdict.BAD
    role = json.loads(rights.hint.partition("'")[2].rstrip("'"))
    assert "Microsoft.Compute/snapshots/write" in role["Actions"]
    assert "Microsoft.Network/networkInterfaces/join/action" in role["Actions"]
    assert "Microsoft.Compute/disks/write" not in role["Actions"]
    assert found["quota"].verdict is Verdict.BAD


def test_the_listed_actions_are_enough_for_a_build(world: AzureWorld) -> None:
    """Least privilege that works: a build, a resume and a clean-up with these actions and no other."""
    from imagewright.core.result import RunState
    from imagewright.engine.resume import CachePolicy, Keep

    world.simulator.roles.actions = list(doctor.ACTIONS)
    world.simulator.roles.data_actions = list(doctor.DATA_ACTIONS)
    targets = (world.shared(), world.managed(), world.vhd())
    policy = CachePolicy(keep=Keep.ALL)
    for text in ("echo one", "echo two"):
        result = world.build(world.plan("true", text, targets=targets), policy)
        assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
    assert [step.cached for step in result.steps] == [True, False]
    assert result.left_behind == ()


def test_a_wrong_secret_is_told_first(world: AzureWorld) -> None:
    world.simulator.tokens.secret = "another"
    (check,) = _checks(world).values()
    assert (check.name, check.verdict) == ("credential", Verdict.BAD)


def test_the_command_line_from_doctor_to_cache(world: AzureWorld, line: CommandLine) -> None:
    code, said = line.run("doctor", "--location", "eastus")
    assert code == 0, said
    template = str(line.template(world.definition, inline="echo hello; sleep 1"))
    code, said = line.run("plan", template)
    assert (code, "22.04.202511130" in said) == (0, True), said
    result = line.home / "result.json"
    code, said = line.run("build", template, "--cache", "all", "--result", str(result), "--tag", "team=web")
    assert code == 0, said
    outputs = json.loads(result.read_text())["runOutputs"]
    assert outputs[0]["artifactId"].endswith("/versions/0.0.1")
    code, said = line.run("cache", "list", "--format", "json")
    assert code == 0, said
    assert len(json.loads(said)) == 3
    code, said = line.run("cache", "prune", "--cache-size", "0")
    assert code == 0, said
    assert [each for each in world.left() if "snapshots" in each] == []
