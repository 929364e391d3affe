"""Nothing is left: cancelled in the middle, or dead on another machine."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from armsim.faults import Fault
from azure_world import AzureWorld
from command_line import CommandLine

from imagewright.platforms.azure import names


def test_cancelled_in_the_middle(world: AzureWorld, line: CommandLine) -> None:
    template = str(line.template(world.definition, inline="echo here; exec sleep 60"))
    running = line.start("build", template, "--no-cache")
    running.until("| here")
    os.kill(running.pid, signal.SIGINT)
    ended = threading.Timer(7.5, os.kill, (running.pid, signal.SIGKILL))
    ended.start()
    code = running.wait()
    ended.cancel()
    assert code == 130, running.text()
    world.simulator.settle()
    assert world.left() == set()
    code, said = line.run("cleanup")
    assert code == 0, said


def test_what_a_dead_machine_left_is_found_by_its_tags(world: AzureWorld, line: CommandLine, tmp_path: Path) -> None:
    template = str(line.template(world.definition))

    world.simulator.faults.add(Fault(".*/powerOff", "POST", then=line.kill))
    line.run("build", template, "--no-cache", home=tmp_path / "dead")
    world.simulator.settle()
    left = world.left()
    assert left
    code, said = line.run("cleanup")
    assert (code, world.left()) == (0, left), "its time is not over: somebody may still be building"
    code, said = line.run("cleanup", "--older-than", "0s")
    assert (code, world.left()) == (0, set()), said


def test_what_a_dead_machine_left_in_a_shared_group_is_found_too(
    world: AzureWorld, line: CommandLine, tmp_path: Path
) -> None:
    """A listing by tag does not show the tags: see `strays`."""
    group = f"/subscriptions/{world.simulator.subscription}/resourceGroups/mine"
    world.sdk.resource.resource_groups.create_or_update("mine", {"location": "eastus"})
    world.sdk.network.public_ip_addresses.begin_create_or_update("mine", "mine", {"location": "eastus"}).result()
    world.mark()

    world.simulator.faults.add(Fault(".*/powerOff", "POST", then=line.kill))
    template = str(line.template(world.definition, stagingResourceGroup=group))
    line.run("build", template, "--no-cache", home=tmp_path / "dead")
    world.simulator.settle()
    assert world.left()
    code, said = line.run("cleanup", "--older-than", "0s")
    assert (code, world.left()) == (0, set()), said


def test_expired_checkpoints_are_deleted(world: AzureWorld, line: CommandLine) -> None:
    code, said = line.run("build", str(line.template(world.definition)), "--cache", "all")
    assert code == 0, said
    kept = [each for each in world.left() if "/snapshots/" in each]
    assert kept
    for each in kept:
        world.simulator.resource(each).body["tags"][names.EXPIRES] = "2020-01-01T00:00:00Z"
    code, said = line.run("cleanup")
    assert code == 0, said
    assert [each for each in world.left() if "/snapshots/" in each] == []
