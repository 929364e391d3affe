"""Names that Azure takes, and tags that can be read back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from imagewright.platforms.azure import names


@pytest.mark.parametrize(
    ("group", "template"),
    [("g", "t"), ("g" * 90, "t" * 64), ("g" * 90, "t"), ("g", "t" * 64), ("größe (1)", "a b/c")],
)
def test_a_staging_group_has_a_name_that_azure_takes(group: str, template: str) -> None:
    name = names.staging_group(group, template)
    assert len(name) <= 90
    assert re.fullmatch(r"IT_[-\w.()]+_[-\w.()]+_[0-9a-f-]{36}", name, re.ASCII)


def test_two_staging_groups_are_never_the_same() -> None:
    assert names.staging_group("g", "t") != names.staging_group("g", "t")


def test_both_names_are_cut_evenly() -> None:
    found = re.fullmatch(r"IT_(g+)_(t+)_[0-9a-f-]{36}", names.staging_group("g" * 90, "t" * 64))
    assert found is not None
    assert abs(len(found[1]) - len(found[2])) <= 1


def test_storage_accounts_are_lower_case_letters_and_digits() -> None:
    for name in (names.storage_account(), names.storage_account("S", "Group")):
        assert re.fullmatch(r"[a-z0-9]{24}", name)
    assert names.storage_account("S", "Group") == names.storage_account("s", "group")
    assert names.storage_account("s", "group") != names.storage_account("s", "other")


def test_a_moment_survives_its_tag() -> None:
    then = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
    assert names.moment(names.stamp(then)) == then
    assert names.moment("tomorrow") is None
