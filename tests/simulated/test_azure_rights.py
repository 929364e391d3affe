"""Tokens that go bad, rights that are taken away and locks, in the middle of a build."""

from __future__ import annotations

import pytest
from armsim.faults import Fault
from azure_world import AzureWorld
from command_line import CommandLine

from imagewright.core.result import RunState

MOMENTS = (".*/virtualNetworks/.*", ".*/powerOff", ".*/versions/.*", ".*/resourcegroups/IT_[^/]*")


@pytest.mark.parametrize("path", MOMENTS)
@pytest.mark.parametrize("how", ["expire", "revoke"])
def test_tokens_that_go_bad_before_their_time_are_replaced(world: AzureWorld, path: str, how: str) -> None:
    spoil = getattr(world.simulator.tokens, how)
    fault = world.simulator.faults.add(Fault(path, "PUT|POST|DELETE", then=spoil))
    result = world.build(world.plan("true"))
    assert fault.struck == 1
    assert result.state is RunState.SUCCEEDED, result.failure
    assert world.left() == {result.run_outputs[0].artifact_id}


@pytest.mark.parametrize(("path", "method", "code"), [(".*/powerOff", "POST", 6), (".*/capsOperations/.*", "GET", 9)])
def test_a_sign_in_that_has_run_out_is_told_with_what_it_left(
    world: AzureWorld, line: CommandLine, path: str, method: str, code: int
) -> None:
    """In the middle it fails the build; when the version is there, only what was left tells of it."""
    tokens, faults = world.simulator.tokens, world.simulator.faults

    def run_out() -> None:
        tokens.expire()
        faults.add(
            Fault(
                where="login", method="POST", times=None, status=401, code="invalid_client",
                message="AADSTS7000222: The provided client secret keys for app are expired.",
            )
        )  # fmt: skip

    faults.add(Fault(path, method, then=run_out))
    ended, said = line.run("build", str(line.template(world.definition)), "--no-cache")
    assert ended == code, said
    assert "AADSTS7000222" in said, said
    assert "sign in again" in said, said
    assert "left behind: resource-group" in said, said
    ended, said = line.run("cleanup")
    assert (ended, "sign in again" in said) == (6, True), said
    faults.clear()
    ended, said = line.run("cleanup")
    assert (ended, world.left() - world.published()) == (0, set()), said


def _staging(world: AzureWorld) -> str:
    (group,) = [each for each in world.simulator.resources() if "/IT_" in each and each.count("/") == 4]
    return group


@pytest.mark.parametrize("level", ["CanNotDelete", "ReadOnly"])
@pytest.mark.parametrize("which", ["staging", "results"])
def test_a_locked_group(world: AzureWorld, line: CommandLine, level: str, which: str) -> None:
    """What cannot be deleted is said, and the exit code tells of it where nothing else failed."""

    def lock() -> None:
        results = f"/subscriptions/{world.simulator.subscription}/resourceGroups/results"
        world.simulator.lock(_staging(world) if which == "staging" else results, level)

    fault = world.simulator.faults.add(Fault(".*/powerOff", "POST", then=lock))
    code, said = line.run("build", str(line.template(world.definition)), "--no-cache")
    assert fault.struck == 1
    expected = {
        ("staging", "CanNotDelete"): 9, ("staging", "ReadOnly"): 6,
        ("results", "CanNotDelete"): 0, ("results", "ReadOnly"): 5,
    }  # fmt: skip
    assert code == expected[which, level], said
    if code:
        assert "ScopeLocked" in said, said
        assert "remove the lock" in said, said
    if which == "staging":
        assert "left behind: resource-group" in said, said
    world.simulator.cloud.locks.clear()
    code, said = line.run("cleanup")
    assert (code, world.left() - world.published()) == (0, set()), said
    assert len(world.published()) == (1 if "CanNotDelete" in level else 0)


@pytest.mark.parametrize(
    ("moment", "action", "code"),
    [
        (".*/networkInterfaces/.*", "Microsoft.Compute/virtualMachines/write", 6),
        (".*/networkInterfaces/.*", "Microsoft.Compute/virtualMachines/powerOff/action", 6),
        (".*/powerOff", "Microsoft.Compute/snapshots/write", 6),
        (".*/snapshots/.*", "Microsoft.Compute/galleries/images/versions/write", 5),
        (".*/virtualNetworks/.*", "Microsoft.Resources/subscriptions/resourceGroups/delete", 9),
        (".*/versions/.*", "Microsoft.Resources/subscriptions/resourceGroups/delete", 9),
    ],
)
def test_a_right_that_is_revoked_is_told_with_its_action(
    world: AzureWorld, line: CommandLine, moment: str, action: str, code: int
) -> None:
    roles = world.simulator.roles

    def revoke() -> None:
        roles.not_actions = [action]

    fault = world.simulator.faults.add(Fault(moment, "PUT|POST", then=revoke))
    ended, said = line.run("build", str(line.template(world.definition)), "--no-cache")
    assert fault.struck == 1
    assert ended == code, said
    assert action in said, said
    assert "imagewright doctor" in said, said
    assert ("left behind" in said) == action.endswith("/delete"), said
    roles.not_actions = []
    ended, said = line.run("cleanup")
    assert (ended, world.left() - world.published()) == (0, set()), said
