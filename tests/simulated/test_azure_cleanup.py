"""What `imagewright cleanup` finds in ledgers and by tags."""

from __future__ import annotations

import threading
from pathlib import Path

from armsim import Simulator
from armsim.faults import Fault
from azure_world import AzureWorld
from command_line import CommandLine


def _killed(line: CommandLine, simulator: Simulator, template: str, **more: Path) -> None:
    simulator.faults.add(Fault(".*/virtualNetworks/[^/]*", "PUT", then=line.kill))
    line.run("build", template, "--no-cache", **more)
    simulator.faults.clear()
    simulator.settle()


def test_a_ledger_says_itself_in_which_subscription_its_things_are(world: AzureWorld, line: CommandLine) -> None:
    _killed(line, world.simulator, str(line.template(world.definition)))
    assert world.left()
    code, said = line.run("cleanup", IMAGEWRIGHT_SUBSCRIPTION="", IMAGEWRIGHT_PLATFORM="local")
    assert (code, world.left()) == (0, set()), said


def test_without_a_sign_in_it_is_an_error_where_azure_is_asked_about_or_something_is_known_to_be_there(
    world: AzureWorld, line: CommandLine
) -> None:
    nobody = {"AZURE_CLIENT_ID": "", "PATH": "/nowhere"}
    code, said = line.run("cleanup", **nobody)
    assert (code, "was not looked for" in said, "az login" in said) == (0, True, True), said
    code, said = line.run("cleanup", "--platform", "azure", **nobody)
    assert (code, "nothing to clean up" in said, "az login" in said) == (6, False, True), said
    _killed(line, world.simulator, str(line.template(world.definition)))
    code, said = line.run("cleanup", **nobody)
    assert (code, "could not delete" in said, "az login" in said) == (9, True, True), said
    code, said = line.run("cleanup")
    assert (code, world.left()) == (0, set()), said


def test_the_groups_of_several_lost_builds_go_at_once(world: AzureWorld, line: CommandLine, tmp_path: Path) -> None:
    template = str(line.template(world.definition))
    for number in range(3):
        _killed(line, world.simulator, template, home=tmp_path / f"lost-{number}")
    groups = {each for each in world.left() if each.count("/") == 4}
    assert len(groups) == 3
    together = threading.Barrier(3, timeout=60)
    world.simulator.faults.add(Fault(".*/resourceGroups/[^/]*", "DELETE", times=3, then=together.wait))
    code, said = line.run("cleanup", "--older-than", "0s")
    assert (code, world.left()) == (0, set()), said
    assert not together.broken
