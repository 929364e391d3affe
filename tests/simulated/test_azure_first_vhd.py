"""The account in which VHDs without a `uri` lie: it stays with the first VHD in it, and goes with a build that has
put none there."""

from __future__ import annotations

import signal

import pytest
from armsim.faults import Fault
from armsim.problems import ArmError
from azure_world import AzureWorld
from command_line import CommandLine

from imagewright.core.result import RunState
from imagewright.platforms.azure import names

ACCOUNT = ".*/storageAccounts/[^/]*"
VHD = {"distribute": [{"type": "VHD", "runOutputName": "vhd"}]}


def _accounts(world: AzureWorld) -> list[str]:
    return [each for each in world.left() if "/storageAccounts/" in each]


def _killed(world: AzureWorld, line: CommandLine, fault: Fault) -> None:
    fault.then = line.kill
    world.simulator.faults.add(fault)
    code, said = line.run("build", str(line.template(world.definition, **VHD)), "--no-cache")
    assert (code, fault.struck) == (-signal.SIGKILL, 1), said
    world.simulator.faults.clear()


@pytest.mark.parametrize(
    ("path", "method", "where"),
    [
        (ACCOUNT, "GET", "arm"),
        (ACCOUNT, "PUT", "arm"),
        (".*/vhds", "PUT", "blob"),
        (".*/vhds/.*", "HEAD", "blob"),
        (".*/beginGetAccess", "POST", "arm"),
        (".*/vhds/.*", "PUT", "blob"),
    ],
)
def test_killed_before_its_first_vhd_is_whole(
    world: AzureWorld, line: CommandLine, path: str, method: str, where: str
) -> None:
    _killed(world, line, Fault(path, method, where=where))
    code, said = line.run("cleanup")
    assert (code, world.left()) == (0, set()), said


def test_killed_when_the_vhd_is_whole(world: AzureWorld, line: CommandLine) -> None:
    _killed(world, line, Fault(ACCOUNT, "PATCH"))
    code, said = line.run("cleanup")
    (account,) = _accounts(world)
    assert (code, world.left()) == (0, world.published() | {account}), said


def test_a_vhd_that_cannot_be_written_leaves_no_account(world: AzureWorld) -> None:
    refused = ArmError(500, "ServerBusy", "no")
    world.simulator.faults.add(Fault(".*/vhds/.*", "PUT", error=refused, where="blob", times=None))
    result = world.build(world.plan("true", targets=(world.vhd(),)))
    assert result.state is RunState.FAILED
    assert world.left() == set()


def test_the_account_is_told_of_made_once_and_never_changed_again(world: AzureWorld) -> None:
    first = world.build(world.plan("true", targets=(world.vhd(), world.vhd(run_output_name="second"))))
    assert first.state is RunState.SUCCEEDED, (first.failure, first.target_failures)
    (account,) = _accounts(world)
    name = account.rpartition("/")[2]
    assert sum(f"the storage account {name} is made in results" in note for note in world.notes) == 1
    assert names.MADE_BY not in world.simulator.resource(account).body["tags"]
    before = len(world.simulator.requests)
    again = world.build(world.plan("echo again", targets=(world.vhd(run_output_name="third"),)))
    assert again.state is RunState.SUCCEEDED, (again.failure, again.target_failures)
    written = [each for each in world.simulator.requests[before:] if "/storageAccounts/" in each.path]
    assert {each.method for each in written} == {"GET"}


def test_an_account_that_another_build_uses_meanwhile_stays(world: AzureWorld, line: CommandLine) -> None:
    _killed(world, line, Fault(".*/vhds", "PUT", where="blob"))
    result = world.build(world.plan("true", targets=(world.vhd(),)))
    assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
    code, said = line.run("cleanup")
    assert code == 0, said
    (account,) = _accounts(world)
    assert world.left() == {account, result.run_outputs[0].artifact_uri}
