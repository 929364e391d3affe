"""The guest through the VM agent: no port is open, output comes through append blobs."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from armsim import Simulator
from azure_world import ORIGIN, AzureWorld, script
from sdk import Sdk

from imagewright.core.actions import Inline, Reboot, Upload
from imagewright.core.choices import Keep, Reach
from imagewright.core.events import Output, Stream
from imagewright.core.plan import Step, Validation
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy


@pytest.fixture
def world(simulator: Simulator, sdk: Sdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureWorld:
    monkeypatch.setattr("imagewright.platforms.azure.agent_guest.POWER_SECONDS", 1.0)
    return AzureWorld(simulator, tmp_path, sdk)


def test_a_build_without_an_open_port(world: AzureWorld) -> None:
    result = world.build(
        world.plan("echo out; echo err >&2; id -un; sudo sh -c 'echo it > /opt/made'", "echo second"),
        reach=Reach.AGENT,
    )
    assert result.state is RunState.SUCCEEDED, result.failure
    assert {"out", "imagewright", "second"} <= set(world.lines)
    assert Output("err", Stream.STDERR) in world.events
    assert world.left() == {result.run_outputs[0].artifact_id}
    assert world.simulator.content(result.run_outputs[0].artifact_id).read("/opt/made") == b"it\n"
    bodies = [str(request.request) for request in world.simulator.requests if "securityRules" in str(request.request)]
    assert all("'securityRules': []" in body for body in bodies)
    assert not any(
        "publicIPAddresses" in request.path and request.method == "PUT" for request in world.simulator.requests
    )
    shown = " ".join(str(event) for event in world.events)
    assert "sig=" not in shown
    assert not any(request.path.endswith("/powerOff") for request in world.simulator.requests), (
        "the agent is gone after its deprovisioning: the guest ends by itself"
    )


def test_its_signatures_live_as_long_as_the_build_may(world: AzureWorld) -> None:
    plan = world.plan("true", timeout=16 * 3600.0)
    end = (datetime.now(UTC) + timedelta(seconds=plan.timeout)).strftime("%Y-%m-%dT%H:%M:%SZ")
    result = world.build(plan, reach=Reach.AGENT)
    assert result.state is RunState.SUCCEEDED, result.failure
    urls = [
        parameter["value"]
        for request in world.simulator.requests
        if request.method == "PUT" and "/runCommands/" in request.path
        for parameter in request.request["properties"]["protectedParameters"]
        if "sig=" in parameter["value"]
    ]
    asked = [{name: value for name, (value,) in parse_qs(url.partition("?")[2]).items()} for url in urls]
    assert asked
    assert all(end <= min(each["se"], each["ske"]) for each in asked)


def test_nobody_who_may_read_the_machine_reads_the_scripts(world: AzureWorld) -> None:
    result = world.build(world.plan("echo my-password"), reach=Reach.AGENT)
    assert result.state is RunState.SUCCEEDED, result.failure
    scripts = [
        request.request["properties"]
        for request in world.simulator.requests
        if request.method == "PUT" and "/runCommands/" in request.path
    ]
    assert scripts
    code = base64.b64encode(b"my-password").decode().rstrip("=")[:-1]
    for properties in scripts:
        open_ = str({name: value for name, value in properties.items() if name != "protectedParameters"})
        assert [each for each in ("my-password", code, "chmod 0755", "/tmp/script_") if each in open_] == []


def test_a_script_that_powers_the_guest_off_is_told_apart_from_the_last(world: AzureWorld) -> None:
    result = world.build(world.plan("sudo poweroff; sleep 60", "echo never"), reach=Reach.AGENT)
    assert result.failure is not None
    assert "was powered off, and not by this build" in result.failure.message
    assert "never" not in world.lines
    assert world.left() == set()


def test_a_validator_that_powers_its_machine_off_has_not_passed(world: AzureWorld) -> None:
    checks = Validation(steps=(script(1, "sudo /sbin/poweroff; sleep 60; exit 1"),))
    plan = world.plan("true", validation=checks)
    for _ in range(2):
        result = world.build(plan, CachePolicy(keep=Keep.ALL), reach=Reach.AGENT)
        assert result.failure is not None
        assert "was powered off, and not by this build" in result.failure.message
        assert result.run_outputs == ()


def test_exit_codes_uploads_and_reboots(world: AzureWorld) -> None:
    large = "x" * 100_000
    step = Step(1, "file", "File", (Upload(Inline(large), "/var/tmp/large", 0o640), Reboot()), ORIGIN)
    plan = world.plan("true", "test $(wc -c < /var/tmp/large) -eq 100000 && stat -c %a /var/tmp/large; exit 4")
    from dataclasses import replace

    plan = replace(plan, steps=(step, *plan.steps[1:]))
    result = world.build(plan, reach=Reach.AGENT)
    assert result.failure is not None
    assert ("exit code 4" in result.failure.message, "640" in world.lines) == (True, True), result.failure
    assert world.left() == set()


def test_a_guest_that_cannot_be_reached_is_driven_through_its_agent(
    world: AzureWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagewright.platforms.azure.way.AUTO_SECONDS", 2.0)
    result = world.build(world.plan("echo hello"), agent_address="203.0.113.9")
    assert result.state is RunState.SUCCEEDED, result.failure
    assert any("through the VM agent" in note for note in world.notes)
    assert "hello" in world.lines


def test_a_subnet_that_is_there_is_used_without_a_public_address(world: AzureWorld) -> None:
    network = world.sdk.network.virtual_networks.begin_create_or_update(
        "results", "corp",
        {"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["127.200.0.0/16"]}, "subnets": [
            {"name": "build", "properties": {"addressPrefix": "127.200.0.0/24"}}]}},
    ).result()  # fmt: skip
    world.before = set(world.simulator.resources())
    from imagewright.core.plan import MachineSpec

    machine = MachineSpec(subnet_id=network.subnets[0].id)
    result = world.build(world.plan("echo hello", machine=machine))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}
    assert not any("publicIPAddresses" in request.path for request in world.simulator.requests)


def test_a_staging_group_that_is_there_stays_and_what_was_put_into_it_goes(world: AzureWorld) -> None:
    from dataclasses import replace

    world.sdk.resource.resource_groups.create_or_update("mine", {"location": "eastus", "tags": {"team": "web"}})
    world.before = set(world.simulator.resources())
    plan = world.plan("echo hello")
    group = f"/subscriptions/{world.simulator.subscription}/resourceGroups/mine"
    plan = replace(plan, azure=replace(plan.azure, staging_resource_group=group))
    for reach in (Reach.AUTO, Reach.AGENT):
        result = world.build(plan, reach=reach)
        assert result.state is RunState.SUCCEEDED, result.failure
        assert {each for each in world.left() if "/versions/" not in each} == set()
    assert world.simulator.resource(group).body["tags"] == {"team": "web"}
    kept = world.build(plan, CachePolicy(keep=Keep.ALL))
    assert kept.state is RunState.SUCCEEDED, kept.failure
    assert {each for each in world.left() if "/resourceGroups/mine/" in each} == set()
