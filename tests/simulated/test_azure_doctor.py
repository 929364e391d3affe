"""`imagewright doctor --platform azure`, and what the command line says of a whole build."""

from __future__ import annotations

import json
from dataclasses import replace

from azure_world import AzureWorld
from command_line import CommandLine

from imagewright.core.choices import Keep, Reach
from imagewright.core.plan import MachineSpec
from imagewright.core.report import Check, Verdict
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy
from imagewright.platforms.azure import doctor


def _checks(world: AzureWorld) -> dict[str, Check]:
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
    name = "Microsoft.ManagedIdentity/userAssignedIdentities/builder"
    identity = f"/subscriptions/{world.simulator.subscription}/resourceGroups/results/providers/{name}"
    world.sdk.resource.resources.begin_create_or_update_by_id(
        identity, {"location": "eastus"}, api_version="2023-01-31", polling=False
    )
    world.simulator.roles.actions = list(doctor.ACTIONS)
    world.simulator.roles.data_actions = list(doctor.DATA_ACTIONS)
    targets = (world.shared(), world.managed(), world.vhd())
    policy = CachePolicy(keep=Keep.ALL)
    for text, reach in (("echo one", Reach.AUTO), ("echo two", Reach.AUTO), ("echo three", Reach.AGENT)):
        plan = world.plan("true", text, targets=targets, machine=MachineSpec(identities=(identity,)))
        result = world.build(plan, policy, reach=reach)
        assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
        assert result.left_behind == ()
    assert [step.cached for step in result.steps] == [True, False]
    checks = _checks(world)
    assert {name: check.message for name, check in checks.items() if check.verdict is not Verdict.GOOD} == {}


def test_a_caller_with_rights_on_its_groups_only_builds_there(world: AzureWorld) -> None:
    """What a region offers is asked to spare a late refusal; who may not ask learns it from the VM."""
    world.simulator.roles.not_actions = ["Microsoft.Compute/skus/read", "Microsoft.Compute/locations/usages/read"]
    world.sdk.resource.resource_groups.create_or_update("mine", {"location": "eastus"})
    world.before = set(world.simulator.resources())
    plan = world.plan("true")
    group = f"/subscriptions/{world.simulator.subscription}/resourceGroups/mine"
    result = world.build(replace(plan, azure=replace(plan.azure, staging_resource_group=group)))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}


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
