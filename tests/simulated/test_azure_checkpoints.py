"""Checkpoints as incremental snapshots: resumed from, listed, pruned; the captured disk is kept too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from azure_world import AzureWorld

from imagewright.core.choices import Keep
from imagewright.core.plan import Validation
from imagewright.core.ports import CacheLimits
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy

ALL = CachePolicy(keep=Keep.ALL)


def test_a_changed_step_resumes_behind_the_one_before(world: AzureWorld) -> None:
    first = world.build(world.plan("echo one; echo 1 >> /tmp/ran; sudo cp /tmp/ran /opt/ran", "echo two"), ALL)
    assert first.state is RunState.SUCCEEDED, first.failure
    world.events.clear()
    second = world.build(world.plan("echo one; echo 1 >> /tmp/ran; sudo cp /tmp/ran /opt/ran", "echo deux"), ALL)
    assert second.state is RunState.SUCCEEDED, second.failure
    assert [step.cached for step in second.steps] == [True, False]
    assert "deux" in world.lines
    assert "one" not in world.lines
    image = world.simulator.content(second.run_outputs[0].artifact_id)
    assert image.read("/opt/ran") == b"1\n"
    assert image.read("/home/imagewright/.ssh/authorized_keys") is None
    results = {first.run_outputs[0].artifact_id, second.run_outputs[0].artifact_id}
    assert world.left() == results | world.kept()
    assert len([each for each in world.kept() if "/snapshots/" in each]) == 6  # after boot and each step; captured


def test_what_is_in_tmp_survives_a_resume_as_if_there_had_been_no_boot(world: AzureWorld) -> None:
    make = (
        "mkdir '/tmp/web app'; echo page > '/tmp/web app/index.html'; chmod 640 '/tmp/web app/index.html'; "
        "mkfifo /tmp/pipe; sudo touch /tmp/.of-root; "
        "echo 'echo my own deprovisioning' >> /tmp/DeprovisioningScript.sh"
    )
    look = "cd /tmp; find . -mindepth 1 ! -name 'script_*' -printf '%P %m %u\\n' | sort; cat 'web app/index.html'"
    assert world.build(world.plan(make, "echo two"), ALL).state is RunState.SUCCEEDED
    world.events.clear()
    result = world.build(world.plan(make, f"{look}; sudo test ! -e /var/lib/imagewright/tmp"), ALL)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert [step.cached for step in result.steps] == [True, False]
    seen = world.lines
    assert [line for line in seen if line.startswith((".of", "Dep", "pipe", "web"))] == [
        ".of-root 644 root",
        "DeprovisioningScript.sh 755 imagewright",
        "pipe 644 imagewright",
        "web app 755 imagewright",
        "web app/index.html 640 imagewright",
    ]
    assert "page" in seen
    assert "my own deprovisioning" in seen


def test_nothing_changed_means_no_machine_at_all(world: AzureWorld) -> None:
    plan = world.plan("echo one")
    assert world.build(plan, ALL).state is RunState.SUCCEEDED
    before = len(world.simulator.requests)
    again = world.build(plan, ALL)
    assert (again.state, again.run_outputs[0].version) == (RunState.SUCCEEDED, "0.0.2")
    asked = [request.path for request in world.simulator.requests[before:]]
    assert not any("virtualMachines/" in path for path in asked)


def test_what_is_kept_is_said_listed_and_pruned(world: AzureWorld) -> None:
    world.build(world.plan("echo one"), ALL)
    until = datetime.now(UTC) + timedelta(days=30)
    assert any(f"until {until:%Y-%m-%d}" in note for note in world.notes)
    cache = world.platform().cache
    kept = cache.list()
    assert {one.kind for one in kept} == {"machine", "disk"}
    assert all(one.expires is not None for one in kept)
    assert cache.prune(CacheLimits()) == ()
    assert set(cache.prune(CacheLimits(size=0))) == set(kept)
    assert world.platform().cache.list() == ()
    assert not any("snapshots" in each for each in world.left())


def test_a_validator_runs_on_a_disk_that_was_kept(world: AzureWorld) -> None:
    assert world.build(world.plan("sudo touch /opt/made"), ALL).state is RunState.SUCCEEDED
    from azure_world import script

    checked = world.plan(
        "sudo touch /opt/made", validation=Validation(steps=(script(1, "test -e /opt/made; echo ok"),))
    )
    world.events.clear()
    assert world.build(checked, ALL).state is RunState.SUCCEEDED
    assert "ok" in world.lines


def test_a_checkpoint_that_cannot_be_taken_costs_the_checkpoint_only(world: AzureWorld) -> None:
    from armsim.faults import failing
    from armsim.problems import ArmError

    world.simulator.faults.add(failing(r".*/snapshots/.*", ArmError(200, "InternalExecutionError", "no"), times=2))
    result = world.build(world.plan("echo one"), ALL)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert any("no checkpoint was kept" in note for note in world.notes)
