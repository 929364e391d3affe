from __future__ import annotations

import dataclasses

import pytest
from small_plan import script, small_plan, step

from imagewright.core.actions import Action, Inline, Reboot, Remote, Run, RunAs, Shell, Staged, Upload
from imagewright.core.choices import Keep
from imagewright.core.digest import UnresolvedError
from imagewright.core.disk import Disk
from imagewright.core.origin import Origin
from imagewright.core.plan import ExactSource, Generation, OsType, PlatformImage, Step, VhdTarget
from imagewright.core.secret import Mask, Secret
from imagewright.engine.resume import CachePolicy, Chain, chain, holds_secret, verdict

SOURCE = ExactSource(
    PlatformImage("Debian", "debian-12", "12-gen2", "latest"),
    "0.20260301.1",
    "sha256:abc",
    OsType.LINUX,
    Generation.V2,
    "x64",
    "/images/debian.qcow2",
    4 << 30,
)
FACTS = (("qemu", "7.2"), ("cpu", "max x 2"))
PREPARE = (script("prepare"),)
FINISH = (script("finish"),)
STEPS = (step(1, "one"), step(2, "two"), step(3, "three"))


def keys(steps: tuple[Step, ...] = STEPS, source: ExactSource = SOURCE, mask: Mask | None = None, **more) -> Chain:
    given = {"facts": FACTS, "prepare": PREPARE, "finish": FINISH} | more
    return chain(source, given["facts"], given["prepare"], steps, given["finish"], mask or Mask())


def only(action: Action, mask: Mask | None = None) -> str:
    """The key after one step that is this action."""
    return keys((step(1, action),), mask=mask).keys[1]


def shared(one: Chain, other: Chain) -> int:
    """How many keys from the beginning are the same; every later one must differ."""
    same = [a == b for a, b in zip(one.keys, other.keys, strict=False)]
    count = same.index(False) if False in same else len(same)
    assert not any(same[count:])
    return count


def test_there_is_a_key_for_the_booted_source_and_for_each_step() -> None:
    made = keys()
    assert len(made.keys) == 4
    assert len({*made.keys, made.captured}) == 5


def test_the_same_plan_has_the_same_keys() -> None:
    assert keys() == keys()


def test_the_keys_of_this_version_do_not_change_by_accident() -> None:
    """When they must: count up `imagewright.chain.v2`, and every cache starts anew."""
    assert [key[:12] for key in keys().keys] == ["4942287d4b9c", "79abd01f14b6", "af372c60e76f", "e8db0281185d"]


def test_order_counts() -> None:
    one, two, three = STEPS
    assert shared(keys(), keys((two, one, three))) == 1
    assert shared(keys(), keys((one, three, two))) == 2


def test_a_changed_step_leaves_the_keys_before_it() -> None:
    assert shared(keys(), keys((*STEPS[:2], step(3, "changed")))) == 3
    assert shared(keys(), keys((step(1, "changed"), *STEPS[1:]))) == 1


def test_templates_that_begin_alike_share_keys() -> None:
    assert shared(keys(), keys((*STEPS[:2], step(3, "other"), step(4, "more")))) == 3


def test_names_numbers_and_places_do_not_count() -> None:
    moved = tuple(
        dataclasses.replace(one, name="renamed", type="Other", number=9, origin=Origin("b.json", 99)) for one in STEPS
    )
    assert keys(moved) == keys()


def test_splitting_a_step_in_two_counts() -> None:
    assert keys((step(1, "one", "two"),)).keys[1] != keys((step(1, "one"), step(2, "two"))).keys[2]


def test_a_source_that_a_secret_chooses_is_still_that_source() -> None:
    def made(version: str) -> Chain:
        source = dataclasses.replace(SOURCE, identity=f"azure:debian:{version}")
        return keys(source=source, mask=Mask((Secret("version", version),)))

    assert shared(made("12.1.1"), made("12.2.2")) == 0


def test_a_verdict_names_the_disk_and_the_validators() -> None:
    disk = Disk("/a", "qcow2", 1 << 30, OsType.LINUX, Generation.V2, identity="captured.1")
    other = dataclasses.replace(disk, identity="captured.2")
    given = {verdict(one, steps, Mask()) for one in (disk, other) for steps in (STEPS, STEPS[:1])}
    assert len(given) == 4
    assert verdict(dataclasses.replace(disk, location="/b"), STEPS, Mask()) == verdict(disk, STEPS, Mask())
    assert verdict(dataclasses.replace(disk, identity=""), STEPS, Mask()) == ""


def test_the_source_counts_by_its_identity_alone() -> None:
    moved = dataclasses.replace(SOURCE, location="/elsewhere", exact_version="other name of the same")
    assert keys(source=moved) == keys()
    assert shared(keys(), keys(source=dataclasses.replace(SOURCE, identity="sha256:def"))) == 0


@pytest.mark.parametrize("more", [{"facts": (("qemu", "8.0"), FACTS[1])}, {"prepare": (script("other"),)}])
def test_the_machine_and_what_is_done_before_the_first_step_count_from_the_beginning(more: dict[str, object]) -> None:
    assert shared(keys(), keys(**more)) == 0


def test_what_is_done_after_the_last_step_counts_for_the_captured_disk_only() -> None:
    other = keys(finish=(script("finish otherwise"),))
    assert other.keys == keys().keys
    assert other.captured != keys().captured


def test_limits_tags_and_targets_do_not_count() -> None:
    plan = small_plan("one")
    other = small_plan("one", timeout=60.0, targets=(VhdTarget("other", tags=(("a", "b"),)),))
    assert keys(plan.steps) == keys(other.steps)


RUN = Run(Inline("echo"), Shell.SH)
UPLOAD = Upload(Staged("ab" * 32, 10, "app.tar"), "/tmp/app.tar")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RUN, dataclasses.replace(RUN, script=Inline("echo "))),
        (RUN, dataclasses.replace(RUN, run_as=RunAs.ELEVATED)),
        (RUN, dataclasses.replace(RUN, shell=Shell.POWERSHELL)),
        (RUN, dataclasses.replace(RUN, valid_exit_codes=(0, 3010))),
        (RUN, dataclasses.replace(RUN, environment=(("A", "b"),))),
        (UPLOAD, dataclasses.replace(UPLOAD, destination="/tmp/other.tar")),
        (UPLOAD, dataclasses.replace(UPLOAD, mode=0o600)),
        (UPLOAD, dataclasses.replace(UPLOAD, content=Staged("cd" * 32, 10, "app.tar"))),
        (Reboot(), Reboot(command="reboot -f")),
    ],
)
def test_every_field_of_an_action_counts(one: Action, other: Action) -> None:
    assert only(one) != only(other)


def test_an_address_does_not_count_but_the_content_behind_it() -> None:
    renamed = Upload(Staged("ab" * 32, 10, "app-2.tar"), "/tmp/app.tar")
    assert only(renamed) == only(UPLOAD)


def test_what_was_not_read_yet_refuses_to_be_hashed() -> None:
    with pytest.raises(UnresolvedError, match=r"https://example\.org/a\.sh"):
        only(Run(Remote("https://example.org/a.sh"), Shell.SH))


def test_secrets_count_by_name_never_by_value() -> None:
    old, new = Secret("token", "s3cret-one"), Secret("token", "s3cret-two")
    script_of = "curl -H 'X: {}' localhost".format
    before = only(script(script_of(old.reveal())), Mask((old,)))
    assert only(script(script_of(new.reveal())), Mask((new,))) == before
    assert only(script(script_of("other")), Mask((old,))) != before
    other = Secret("password", "s3cret-one")
    assert only(script(script_of(other.reveal())), Mask((other,))) != before


# --- what is kept ---


def test_a_state_that_may_hold_a_secret_is_kept_only_where_that_is_asked_for() -> None:
    kept = {keep: CachePolicy(keep=keep).after_step(60.0, last=True, secret=True) for keep in Keep}
    assert kept == {Keep.NONE: False, Keep.LAST: True, Keep.ALL: True, Keep.AUTO: False}


def test_a_step_holds_a_secret_when_its_value_stands_in_what_it_does() -> None:
    mask = Mask((Secret("token", "s3cret-one"),))
    assert holds_secret((step(1, "say one"), step(2, "login s3cret-one")), mask)
    assert not holds_secret((step(1, "say one"), step(2, "login somebody")), mask)


@pytest.mark.parametrize(
    ("keep", "boot", "quick", "slow", "last"),
    [
        (Keep.NONE, False, False, False, False),
        (Keep.LAST, False, False, False, True),
        (Keep.ALL, True, True, True, True),
        (Keep.AUTO, True, False, True, False),
    ],
)
def test_the_policy_says_after_which_steps_a_state_is_kept(
    keep: Keep, boot: bool, quick: bool, slow: bool, last: bool
) -> None:
    policy = CachePolicy(keep=keep)
    assert policy.after_boot() is boot
    assert policy.after_step(0.5, last=False, secret=False) is quick
    assert policy.after_step(2.0, last=False, secret=False) is slow
    assert policy.after_step(0.5, last=True, secret=False) is last
