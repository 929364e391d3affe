from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from memory_platform import MemoryGuest, MemoryMachine, MemoryPlatform
from small_plan import Builds, small_plan

from imagewright.core.actions import Remote, Run, Shell
from imagewright.core.choices import Keep
from imagewright.core.clock import Deadline
from imagewright.core.errors import Diagnostic, GuestError, Severity
from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Diagnosed,
    Event,
    Note,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    StepKind,
    StepOutcome,
)
from imagewright.core.origin import Origin
from imagewright.core.plan import ExactSource, OnError, Optimization, Plan, Source, VhdTarget
from imagewright.core.result import BuildResult, Phase, RunState
from imagewright.core.secret import Mask, Secret
from imagewright.engine.ledger import pending
from imagewright.entry.signals import cancellable


@pytest.fixture
def build(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


def cached(result: BuildResult) -> list[tuple[str, bool]]:
    return [(step.name, step.cached) for step in result.steps]


def outcomes(build: Builds, kind: StepKind = StepKind.CUSTOMIZER) -> list[tuple[str, str]]:
    return [
        (event.name, event.outcome.value)
        for event in build.events
        if isinstance(event, StepFinished) and event.kind is kind
    ]


def phases(build: Builds) -> list[Phase]:
    return [event.phase for event in build.events if isinstance(event, PhaseStarted)]


def nothing_is_left(build: Builds) -> bool:
    return build.world.machines == set() and pending(build.ledger) == ()


# --- a whole build ---


def test_a_build_runs_its_steps_and_writes_its_targets(build: Builds) -> None:
    result = build(small_plan("say one\nwait 5", "say two"))
    assert result.state is RunState.SUCCEEDED
    assert [output.name for output in result.run_outputs] == ["web-vhd"]
    assert cached(result) == [("step1", False), ("step2", False)]
    assert result.steps[0].seconds == 5.0
    assert result.source == "Debian:debian-12:12-gen2:latest (1.2.3)"
    assert [line for line in build.said if line in ("one", "two")] == ["one", "two"]
    assert nothing_is_left(build)


def test_the_events_of_a_build_begin_and_end_and_every_phase_that_starts_finishes(build: Builds) -> None:
    result = build(small_plan("say one", validators=("say checked",)))
    assert isinstance(build.events[0], BuildStarted)
    assert build.events[-1] == BuildFinished(result)
    finished = [event.phase for event in build.events if isinstance(event, PhaseFinished)]
    assert phases(build) == finished == [phase.phase for phase in result.phases]
    assert finished == [Phase.QUEUED, Phase.BUILDING, Phase.CUSTOMIZING, Phase.VALIDATING, Phase.DISTRIBUTING]


def test_the_deprovisioning_script_is_in_place_before_the_first_customizer(build: Builds) -> None:
    build(small_plan("fail 1"))
    assert b"waagent" in build.world.uploaded["/tmp/DeprovisioningScript.sh"]


def test_an_optimized_build_has_a_phase_for_it(build: Builds, tmp_path: Path) -> None:
    (tmp_path / "workload").write_text("say workload")
    optimization = Optimization(vm_boot=True, workload=Remote(str(tmp_path / "workload")))
    result = build(small_plan("say one", optimization=optimization))
    assert result.state is RunState.SUCCEEDED
    assert Phase.OPTIMIZING in phases(build)
    assert outcomes(build, StepKind.OPTIMIZER) == [("workload", "ran"), ("vmBoot", "ran")]
    assert "workload" in build.said


# --- resume ---


def test_a_changed_step_resumes_after_the_one_before_it(build: Builds) -> None:
    build(small_plan("say one", "say two", "say three"))
    result = build(small_plan("say one", "say two", "say changed"))
    assert cached(result) == [("step1", True), ("step2", True), ("step3", False)]
    assert outcomes(build) == [("step1", "cached"), ("step2", "cached"), ("step3", "ran")]
    assert "changed" in build.said
    assert not {"one", "two"} & set(build.said)


def test_a_changed_first_step_resumes_from_the_booted_source(build: Builds) -> None:
    build(small_plan("say one", "say two"))
    before = len(build.world.checkpoints)
    result = build(small_plan("say changed", "say two"))
    assert cached(result) == [("step1", False), ("step2", False)]
    assert len(build.world.checkpoints) == before + 2  # not one more for the boot


def test_two_templates_share_their_beginning(build: Builds) -> None:
    build(small_plan("say base", "say one", name="one"))
    result = build(small_plan("say base", "say two", name="two"))
    assert cached(result) == [("step1", True), ("step2", False)]


def test_when_nothing_changed_no_machine_is_started(build: Builds) -> None:
    build(small_plan("say one"))
    ran = len(build.world.ran)
    result = build(small_plan("say one", targets=(VhdTarget("another"),)))
    assert result.state is RunState.SUCCEEDED
    assert len(build.world.ran) == ran
    assert phases(build) == [Phase.QUEUED, Phase.DISTRIBUTING]
    assert "nothing changed since the last build: its captured disk is used" in [
        event.message for event in build.events if isinstance(event, Note)
    ]


def test_changed_content_behind_an_unchanged_address_is_noticed(build: Builds, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    plan = small_plan("say one", Run(Remote(str(script)), Shell.SH))
    script.write_text("say old")
    build(plan)
    script.write_text("say new")
    assert cached(build(plan)) == [("step1", True), ("step2", False)]
    assert "new" in build.said


def test_a_failed_build_keeps_what_it_reached(build: Builds) -> None:
    failed = build(small_plan("say one", "say two\nwait 7\nfail 9", "say three"))
    assert cached(failed) == [("step1", False), ("step2", False)]
    assert failed.steps[1].seconds == 7.0
    assert outcomes(build) == [("step1", "ran"), ("step2", "failed")]
    mended = build(small_plan("say one", "say two mended", "say three"))
    assert cached(mended) == [("step1", True), ("step2", False), ("step3", False)]


def test_without_a_cache_nothing_is_used_and_nothing_is_kept(build: Builds) -> None:
    build(small_plan("say one"))
    kept = dict(build.world.checkpoints)
    result = build(small_plan("say one", "say two"), reuse=False, keep=Keep.NONE)
    assert cached(result) == [("step1", False), ("step2", False)]
    assert build.world.checkpoints == kept


@pytest.mark.parametrize(("keep", "states"), [(Keep.NONE, 0), (Keep.LAST, 1), (Keep.ALL, 4), (Keep.AUTO, 2)])
def test_the_policy_says_what_is_kept(build: Builds, keep: Keep, states: int) -> None:
    """One quick step, one slow one, one quick last one; and the booted source."""
    build(small_plan("say quick", "wait 10", "say last"), keep=keep)
    assert len(build.world.checkpoints) == states


def test_no_state_is_kept_behind_a_secret_unless_asked_for(build: Builds) -> None:
    plan = small_plan("wait 10", "wait 10\nsay s3cret", "wait 10", mask=Mask((Secret("token", "s3cret"),)))
    build(plan, keep=Keep.AUTO)
    assert [kept.note for kept in build.world.checkpoints.values()][1:] == ["web after 1 step1"]


def test_quick_steps_add_up_until_a_state_is_worth_keeping(build: Builds) -> None:
    build(small_plan(*["wait 1"] * 5), keep=Keep.AUTO)
    assert [kept.note.rpartition(" ")[2] for kept in build.world.checkpoints.values()] == [
        "boot",
        "step2",
        "step4",
    ]


# --- what goes wrong ---


def test_what_the_platform_finds_ends_the_build_before_it_begins(build: Builds) -> None:
    finding = Diagnostic(Severity.ERROR, "no-such-size", "there is no such size", Origin("web.json", 3))
    build.world.diagnostics.append(finding)
    result = build(small_plan("say one"))
    assert result.state is RunState.FAILED
    assert result.failure is not None
    assert (result.failure.exit_code, result.failure.message) == (2, "there is no such size")
    assert build.world.ran == []


def test_a_warning_of_the_platform_is_told_and_the_build_goes_on(build: Builds) -> None:
    finding = Diagnostic(Severity.WARNING, "slow", "this will be slow", Origin("web.json", 3))
    build.world.diagnostics.append(finding)
    assert build(small_plan("say one")).state is RunState.SUCCEEDED
    assert Diagnosed(finding) in build.events


def test_an_artifact_that_is_not_there_ends_it_before_a_machine_is_made(build: Builds) -> None:
    result = build(small_plan("say one", Run(Remote("/no/such/file"), Shell.SH)))
    assert result.failure is not None
    assert result.failure.exit_code == 6
    assert result.failure.origin == Origin("web.json", 12, 5, "/properties/customize/1")
    assert build.world.ran == []


def test_a_failed_customizer_says_where_and_what_was_said_last(build: Builds) -> None:
    result = build(small_plan("say one", "say no such package\nfail 100"))
    failure = result.failure
    assert failure is not None
    assert failure.message == "customizer 2 (Shell 'step2') failed: the script ended with exit code 100, expected 0"
    assert (failure.kind, failure.exit_code, failure.output) == ("CustomizationError", 3, ("no such package",))
    assert failure.origin == Origin("web.json", 12, 5, "/properties/customize/1")
    assert nothing_is_left(build)


def test_with_abort_the_machine_stays_and_the_ledger_knows(build: Builds) -> None:
    result = build(small_plan("fail 1", on_customizer_error=OnError.ABORT))
    assert result.state is RunState.FAILED
    assert result.kept == ("machine machine-1",)
    assert build.world.machines == {"machine-1"}
    assert [owned.id for owned in pending(build.ledger)] == ["machine-1"]
    assert any(isinstance(event, Note) and "ssh machine-1" in event.message for event in build.events)


def test_abort_is_for_failed_steps_only(build: Builds) -> None:
    result = build(small_plan("wait 1000", on_customizer_error=OnError.ABORT, timeout=500.0))
    assert result.failure is not None
    assert result.failure.exit_code == 7
    assert nothing_is_left(build)


def test_a_build_that_takes_too_long(build: Builds) -> None:
    result = build(small_plan("wait 100", "wait 1000", "say never", timeout=600.0))
    failure = result.failure
    assert failure is not None
    assert (failure.kind, failure.exit_code) == ("BuildTimeoutError", 7)
    assert failure.message == "the build (buildTimeoutInMinutes is 10) took too long"
    assert failure.origin == Origin("web.json", 12, 5, "/properties/customize/1")
    assert cached(result) == [("step1", False), ("step2", False)]
    assert "never" not in build.said
    assert nothing_is_left(build)


def test_what_could_not_be_deleted_is_in_the_result_and_in_the_ledger(build: Builds) -> None:
    build.world.stubborn.add("machine")
    result = build(small_plan("say one"))
    assert result.state is RunState.SUCCEEDED
    assert result.left_behind == ("machine machine-1",)
    assert [owned.id for owned in pending(build.ledger)] == ["machine-1"]


def test_a_guest_that_cannot_be_prepared_is_the_platforms_failure(
    build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise GuestError("the connection was cut")

    monkeypatch.setattr(MemoryGuest, "upload", refuse)
    failure = build(small_plan("say one")).failure
    assert failure is not None
    assert (failure.exit_code, failure.message) == (6, "the build VM could not be prepared: the connection was cut")
    assert nothing_is_left(build)


# --- cancel ---


def test_a_signal_in_mid_step_cancels_and_leaves_nothing(build: Builds) -> None:
    with cancellable():
        result = build(small_plan("say one", "wait 3\nsignal SIGINT\nsay never", "say never"))
    assert result.state is RunState.CANCELED
    assert result.failure is not None
    assert (result.failure.exit_code, result.failure.message) == (130, "cancelled by SIGINT")
    assert cached(result) == [("step1", False), ("step2", False)]
    outcomes = [event.outcome for event in build.events if isinstance(event, StepFinished)]
    assert outcomes == [StepOutcome.RAN, StepOutcome.CANCELLED]
    assert "never" not in build.said
    assert nothing_is_left(build)


def test_a_signal_while_the_machine_is_deleted_ends_the_build_as_cancelled_with_nothing_left(
    build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []
    delete = MemoryPlatform.delete

    def interrupted(platform: MemoryPlatform, owned, deadline: Deadline) -> None:
        attempts.append(owned.id)
        if len(attempts) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        delete(platform, owned, deadline)

    monkeypatch.setattr(MemoryPlatform, "delete", interrupted)
    with cancellable():
        result = build(small_plan("say one"))
    assert result.state is RunState.CANCELED
    assert result.left_behind == ()
    assert [output.name for output in result.run_outputs] == ["web-vhd"]
    assert attempts == ["machine-1", "machine-1"]
    assert nothing_is_left(build)


def test_whoever_waits_in_a_thread_hears_of_the_cancellation(build: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Deadline] = []
    boot = MemoryPlatform.boot

    def remember(platform: MemoryPlatform, source, plan: Plan, owner, deadline: Deadline) -> MemoryMachine:
        heard.append(deadline)
        return boot(platform, source, plan, owner, deadline)

    monkeypatch.setattr(MemoryPlatform, "boot", remember)
    with cancellable():
        build(small_plan("signal SIGINT"))
    assert heard[0].stop.is_set()


# --- validate ---


def test_the_second_machine_is_gone_before_the_targets_are_written(build: Builds) -> None:
    """It holds gigabytes of this host's memory, and nobody needs it any more."""
    there: dict[Phase, set[str]] = {}

    class Watched(list[Event]):
        def append(self, event: Event) -> None:
            super().append(event)
            if isinstance(event, PhaseStarted):
                there[event.phase] = set(build.world.machines)

    build.events = Watched()
    assert build(small_plan("say one", validators=("say checked",))).state is RunState.SUCCEEDED
    assert there[Phase.VALIDATING] == there[Phase.DISTRIBUTING] == {"machine-1"}
    assert nothing_is_left(build)


def test_a_verdict_that_cannot_be_kept_costs_the_next_validation_only(build: Builds) -> None:
    build.world.unwritable.add("verdict")
    assert build(small_plan("say one", validators=("say checked",))).state is RunState.SUCCEEDED
    notes = [event for event in build.events if isinstance(event, Note) and "validates again" in event.message]
    assert [note.hint for note in notes] == ["free some"]
    build(small_plan("say one", validators=("say checked",)))
    assert "checked" in build.said


def test_validators_run_on_a_second_machine(build: Builds) -> None:
    result = build(small_plan("say one", validators=("say checked",)))
    assert result.state is RunState.SUCCEEDED
    assert outcomes(build, StepKind.VALIDATOR) == [("step1", "ran")]
    assert cached(result) == [("step1", False)]


def test_the_timeout_begins_with_the_build_and_not_with_what_comes_before(build: Builds) -> None:
    class Slow(MemoryPlatform):
        def resolve(self, source: Source, plan: Plan, deadline: Deadline) -> ExactSource:
            deadline.wait(1000)
            return super().resolve(source, plan, deadline)

    build.platform = Slow
    assert build(small_plan("wait 500", timeout=600.0)).state is RunState.SUCCEEDED


def test_a_distribution_that_takes_too_long_is_a_timeout(build: Builds) -> None:
    build.world.endless.add("web-vhd")
    result = build(small_plan("say one", timeout=600.0))
    assert result.state is RunState.FAILED
    assert result.failure is not None
    assert (result.failure.kind, result.failure.exit_code) == ("BuildTimeoutError", 7)
    assert "buildTimeoutInMinutes is 10" in result.failure.message
    assert nothing_is_left(build)


def test_a_failed_validation_stops_the_distribution(build: Builds) -> None:
    result = build(small_plan("say one", validators=("fail 1",)))
    assert result.state is RunState.FAILED
    assert result.failure is not None
    assert (result.failure.kind, result.failure.exit_code) == ("ValidationError", 4)
    assert result.failure.message.startswith("validator 1 (Shell 'step1') failed")
    assert result.run_outputs == ()
    assert Phase.DISTRIBUTING not in phases(build)


def test_it_is_distributed_all_the_same_where_the_template_says_so(build: Builds) -> None:
    result = build(small_plan("say one", validators=("fail 1",), continue_distribute_on_failure=True))
    assert result.state is RunState.FAILED
    assert result.failure is not None
    assert result.failure.exit_code == 4
    assert [output.name for output in result.run_outputs] == ["web-vhd"]


def test_a_validation_that_failed_is_done_again_on_the_kept_disk(build: Builds) -> None:
    build(small_plan("say one", validators=("fail 1",)))
    result = build(small_plan("say one", validators=("say better",)))
    assert result.state is RunState.SUCCEEDED
    assert cached(result) == [("step1", True)]
    assert "better" in build.said
    assert "one" not in build.said


@pytest.mark.parametrize("pruned", [True, False])
def test_a_verdict_is_about_one_disk_and_not_about_another_that_was_made_the_same_way(
    build: Builds, *, pruned: bool
) -> None:
    plan = small_plan("say one", validators=("say checked",))
    build(plan)
    if pruned:
        build.world.disks.clear()
    result = build(plan)
    assert result.state is RunState.SUCCEEDED
    assert ("checked" in build.said) == pruned
    passed = [event for event in build.events if isinstance(event, Note) and "passed these" in event.message]
    assert bool(passed) != pruned


def test_a_build_that_keeps_nothing_keeps_no_verdict(build: Builds) -> None:
    plan = small_plan("say one")
    build(plan)
    checked = small_plan("say one", validators=("say checked",))
    for _ in range(2):
        build(checked, keep=Keep.NONE)
        assert "checked" in build.said


def test_only_the_source_is_validated_where_the_template_says_so(build: Builds) -> None:
    result = build(small_plan("say one", validators=("say checked",), source_only=True))
    assert result.state is RunState.SUCCEEDED
    assert result.run_outputs == ()
    assert build.said == ["checked"]
    assert phases(build) == [Phase.QUEUED, Phase.VALIDATING]
    assert nothing_is_left(build)


def test_abort_keeps_the_machine_of_a_failed_validator(build: Builds) -> None:
    result = build(small_plan("say one", validators=("fail 1",), on_validation_error=OnError.ABORT))
    assert result.failure is not None
    assert result.failure.exit_code == 4
    assert build.world.machines


# --- distribute ---


TWO_TARGETS = (VhdTarget("good"), VhdTarget("bad", origin=Origin("web.json", 50)))


def test_when_some_targets_fail_the_build_has_succeeded_in_part(build: Builds) -> None:
    build.world.unwritable.add("bad")
    result = build(small_plan("say one", targets=TWO_TARGETS))
    assert result.state is RunState.PARTIALLY_SUCCEEDED
    assert [output.name for output in result.run_outputs] == ["good"]
    assert [failure.message for failure in result.target_failures] == ["bad cannot be written"]
    assert result.failure is not None
    assert result.failure.exit_code == 5
    assert result.failure.message == "1 of 2 targets failed: bad cannot be written"
    assert result.failure.origin == Origin("web.json", 50)


def test_when_all_targets_fail_the_build_has_failed_but_the_disk_is_kept(build: Builds) -> None:
    build.world.unwritable.update({"good", "bad"})
    assert build(small_plan("say one", targets=TWO_TARGETS)).state is RunState.FAILED
    build.world.unwritable.clear()
    result = build(small_plan("say one", targets=TWO_TARGETS))
    assert result.state is RunState.SUCCEEDED
    assert cached(result) == [("step1", True)]
