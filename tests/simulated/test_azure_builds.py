"""Builds from source to targets: real SDKs, a simulated ARM, real guests behind real SSH servers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from azure_world import AzureWorld, script

from imagewright.core.plan import MachineSpec, ManagedImage, SharedImageVersion, Validation
from imagewright.core.result import RunState


def test_a_build_ends_as_a_gallery_version_and_leaves_nothing_else(world: AzureWorld) -> None:
    before = len(world.simulator.requests)
    result = world.build(world.plan("echo hello; id -un; sudo sh -c 'echo it > /opt/made'", "echo second >&2"))
    assert result.state is RunState.SUCCEEDED, result.failure
    (output,) = result.run_outputs
    assert output.version == "0.0.1"
    assert world.left() == {output.artifact_id}
    assert world.pending == ()
    assert world.lines[:3] == ["hello", "imagewright", "second"]
    image = world.simulator.content(output.artifact_id)
    assert image.read("/opt/made") == b"it\n"
    assert image.read("/home/imagewright/.ssh/authorized_keys") is None
    assert b"imagewright" not in (image.read("/etc/passwd") or b"")
    assert len(world.simulator.requests) - before < 60


def test_three_targets_at_once(world: AzureWorld) -> None:
    targets = (world.shared(), world.managed(), world.vhd())
    result = world.build(world.plan("sudo touch /opt/made", targets=targets))
    assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
    version, image, blob = result.run_outputs
    assert world.simulator.content(version.artifact_id).read("/opt/made") == b""
    assert world.simulator.content(image.artifact_id).read("/opt/made") == b""
    assert blob.artifact_uri.endswith(".vhd")
    assert "sig=" not in blob.artifact_uri
    accounts = {each for each in world.left() if "/storageAccounts/" in each}
    assert world.left() - accounts == {version.artifact_id, image.artifact_id, blob.artifact_uri}
    assert len(accounts) == 1
    (account,) = accounts
    facts = world.simulator.resource(account).properties
    assert (facts["allowSharedKeyAccess"], facts["allowBlobPublicAccess"], facts["minimumTlsVersion"]) == (
        False,
        False,
        "TLS1_2",
    )


def test_an_image_is_the_source_of_the_next(world: AzureWorld) -> None:
    first = world.build(world.plan("sudo touch /opt/first", targets=(world.shared(), world.managed())))
    version, image = first.run_outputs
    latest = version.artifact_id.rpartition("/")[0] + "/latest"
    for source in (SharedImageVersion(latest), ManagedImage(image.artifact_id)):
        result = world.build(world.plan("test -e /opt/first && echo there", source=source))
        assert result.state is RunState.SUCCEEDED, result.failure
        assert "there" in world.lines
        world.events.clear()
    assert result.run_outputs[0].version == "0.0.3"


def test_the_validators_run_on_a_second_machine_from_the_captured_disk(world: AzureWorld) -> None:
    checks = Validation(steps=(script(1, "test -e /opt/made && test ! -e /tmp/scratch && echo valid"),))
    result = world.build(world.plan("sudo touch /opt/made; touch /tmp/scratch", validation=checks))
    assert result.state is RunState.SUCCEEDED, result.failure
    assert "valid" in world.lines
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_an_image_that_is_not_valid_is_not_published(world: AzureWorld) -> None:
    result = world.build(world.plan("true", validation=Validation(steps=(script(1, "exit 3"),))))
    assert (result.state, result.failure and result.failure.exit_code) == (RunState.FAILED, 4)
    assert world.left() == set()


def test_data_disks_go_into_the_image(world: AzureWorld) -> None:
    result = world.build(world.plan("true", machine=MachineSpec(data_disk_sizes_gb=(8,), os_disk_size_gb=40)))
    assert result.state is RunState.SUCCEEDED, result.failure
    profile = world.simulator.resource(result.run_outputs[0].artifact_id).properties["storageProfile"]
    assert profile["osDiskImage"]["sizeInGB"] == 40
    assert [disk["lun"] for disk in profile["dataDiskImages"]] == [0]
    assert world.left() == {result.run_outputs[0].artifact_id}


def test_a_failing_customizer_leaves_nothing_and_shows_its_last_lines(world: AzureWorld) -> None:
    result = world.build(world.plan("echo about to fail; exit 7"))
    assert result.failure is not None
    assert (result.failure.exit_code, "exit code 7" in result.failure.message) == (3, True)
    assert result.failure.output[-1] == "about to fail"
    assert world.left() == set()


def test_a_machine_whose_step_failed_is_kept_on_demand(world: AzureWorld) -> None:
    from imagewright.core.plan import OnError

    result = world.build(world.plan("exit 7", on_customizer_error=OnError.ABORT))
    assert result.failure is not None
    assert [owned.kind for owned in world.pending] == ["resource-group"]
    (machine,) = world.simulator.machines()
    assert machine.power == "running"
    said = next(note for note in world.notes if "is kept" in note)
    command = said[said.index("ssh -i ") : said.index(" (in the resource group")].split()
    assert oct(Path(command[2]).stat().st_mode & 0o777) == "0o600"
    asked = (*command, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-F", "none", "echo here")
    assert subprocess.run(asked, check=True, capture_output=True, text=True).stdout == "here\n"
    world.platform().delete(world.pending[0], world.deadline())
    assert world.left() == set()


def test_only_the_source_is_validated(world: AzureWorld) -> None:
    checks = Validation(steps=(script(1, "echo looked"),), source_only=True)
    result = world.build(world.plan("exit 1", validation=checks), ephemeral_os_disk=True)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert "looked" in world.lines
    assert world.left() == set()
    made = next(
        request.request
        for request in world.simulator.requests
        if request.method == "PUT" and "/virtualMachines/" in request.path
    )
    assert made["properties"]["storageProfile"]["osDisk"]["diffDiskSettings"] == {"option": "Local"}


def test_tags_that_a_policy_demands_are_on_everything_of_the_build(world: AzureWorld) -> None:
    result = world.build(world.plan("true"), tags=(("team", "web"),))
    assert result.state is RunState.SUCCEEDED, result.failure
    puts = [request for request in world.simulator.requests if request.method == "PUT" and "IT_" in request.path]
    assert puts
    assert all(request.request["tags"]["team"] == "web" for request in puts)


def test_where_an_image_came_from_is_remembered(world: AzureWorld) -> None:
    """By the image itself, whatever the build was told to tag it with."""
    targets = (world.shared(tags=(("team", "web"),)), world.managed())
    asked = (*targets, world.vhd())
    assert [world.platform().built_from(target, world.deadline()) for target in asked] == ["", "", None]
    plan = world.plan("true", targets=targets)
    assert world.build(plan).state is RunState.SUCCEEDED
    source = world.platform().resolve(plan.source, plan, world.deadline())
    assert [world.platform().built_from(target, world.deadline()) for target in targets] == [source.identity] * 2
    (version,) = [each for each in world.simulator.resources() if "/versions/" in each.lower()]
    world.simulator.resource(version).body["properties"]["provisioningState"] = "Failed"
    assert world.platform().built_from(targets[0], world.deadline()) == "", "a version that failed is no image"
