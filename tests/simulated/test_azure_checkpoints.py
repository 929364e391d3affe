"""Checkpoints as incremental snapshots: resumed from, listed, pruned; the captured disk is kept too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from azure_world import AzureWorld, script

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


def test_a_resume_from_what_a_resumed_build_has_kept(world: AzureWorld) -> None:
    for words in (("one", "two", "three"), ("one", "zwei", "three"), ("one", "zwei", "drei")):
        result = world.build(world.plan(*(f"echo {word}" for word in words)), ALL)
        assert result.state is RunState.SUCCEEDED, result.failure
    assert [step.cached for step in result.steps] == [True, True, False]
    assert not any("passed over" in note for note in world.notes)


def test_a_resumed_machine_is_not_set_up_anew_and_the_image_does_not_tell_of_it(world: AzureWorld) -> None:
    quiet = "/etc/cloud/cloud.cfg.d/zz-imagewright-resume.cfg"
    first = f"sudo mkdir -p /etc/cloud/cloud.cfg.d; test ! -e {quiet}"
    assert world.build(world.plan(first, f"test ! -e {quiet}"), ALL).state is RunState.SUCCEEDED
    result = world.build(world.plan(first, f"cat {quiet}", f"cat {quiet}"), ALL)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert [step.cached for step in result.steps] == [True, False, False]
    assert world.lines.count("cloud_config_modules: []") == 2
    assert world.simulator.content(result.run_outputs[0].artifact_id).read(quiet) is None


def test_a_machine_that_could_not_be_resumed_is_gone_before_the_next_one_is_made(world: AzureWorld) -> None:
    from armsim.faults import failing
    from armsim.problems import ArmError

    assert world.build(world.plan("echo one", "echo two"), ALL).state is RunState.SUCCEEDED
    world.simulator.faults.add(
        failing(r".*/runCommands/iw-admit.*", ArmError(200, "VMExtensionProvisioningError", "no"), times=1)
    )
    before = len(world.simulator.requests)
    result = world.build(world.plan("echo one", "echo zwei"), ALL)
    assert result.state is RunState.SUCCEEDED, result.failure
    assert [step.cached for step in result.steps] == [False, False]
    assert machines(world, before) == ["PUT 1", "DELETE 1", "PUT 2"]


def machines(world: AzureWorld, before: int) -> list[str]:
    """What was done with machines since `before`, which are numbered as they come."""
    numbers: dict[str, int] = {}
    found = []
    for request in world.simulator.requests[before:]:
        name = request.path.rpartition("/virtualMachines/")[2]
        if "/virtualMachines/" in request.path and "/" not in name and request.method in ("PUT", "DELETE"):
            found.append(f"{request.method} {numbers.setdefault(name, len(numbers) + 1)}")
    return found


def test_a_machine_is_gone_as_soon_as_its_disk_is_captured(world: AzureWorld) -> None:
    checks = Validation(steps=(script(1, "echo valid"),))
    for policy in (ALL, CachePolicy(keep=Keep.NONE)):
        before = len(world.simulator.requests)
        plan = world.plan(f"echo {policy.keep}", validation=checks)
        assert world.build(plan, policy).state is RunState.SUCCEEDED
        assert machines(world, before)[:3] == ["PUT 1", "DELETE 1", "PUT 2"]
    before = len(world.simulator.requests)
    assert world.build(world.plan("echo alone"), CachePolicy(keep=Keep.NONE)).state is RunState.SUCCEEDED
    assert machines(world, before) == ["PUT 1", "DELETE 1"]


def test_what_only_saves_money_fails_no_build(world: AzureWorld) -> None:
    from armsim.faults import Fault

    checks = Validation(steps=(script(1, "echo valid"),))
    for policy in (ALL, CachePolicy(keep=Keep.NONE)):
        for plan in (world.plan(f"echo {policy.keep}", validation=checks), world.plan(f"echo {policy.keep} alone")):
            fault = Fault(
                r".*/virtualMachines/[^/]*", "DELETE", status=409, code="ScopeLocked", message="It is locked."
            )
            world.simulator.faults.add(fault)
            result = world.build(plan, policy)
            world.simulator.faults.clear()
            assert result.state is RunState.SUCCEEDED, result.failure
    assert any("not needed any more stays" in note for note in world.notes)


def test_the_tags_of_the_user_are_on_what_is_kept_too(world: AzureWorld) -> None:
    result = world.build(world.plan("echo one"), ALL, tags=(("costCenter", "4711"),))
    assert result.state is RunState.SUCCEEDED, result.failure
    snapshots = [each for each in world.kept() if "/snapshots/" in each]
    group = world.sdk.resource.resource_groups.get("imagewright-cache")
    tags = [group.tags, *(world.sdk.compute.snapshots.get("imagewright-cache", each.rpartition("/")[2]).tags
            for each in snapshots)]  # fmt: skip
    assert len(tags) > 2
    assert {each["costCenter"] for each in tags} == {"4711"}
    cache = world.platform().cache
    assert len(cache.list()) > 1


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
