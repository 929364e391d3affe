from __future__ import annotations

import pytest

from imagewright.core.errors import DistributionError
from imagewright.core.plan import ExplicitVersion, LatestVersioning, SourceVersioning
from imagewright.distributors.versioning import Version, choose, parse

GALLERY = [
    Version(*map(int, text.split(".")))
    for text in ["0.1.1", "0.1.2", "1.0.0", "1.0.1", "1.1.0", "1.1.1", "1.2.0", "2.0.0", "2.0.1", "2.1.0"]
]


@pytest.mark.parametrize(
    ("major", "expected"), [(-1, "2.1.1"), (2, "2.1.1"), (1, "1.2.1"), (0, "0.1.3"), (3, "3.0.1")]
)
def test_latest_follows_the_example_of_the_service(major: int, expected: str) -> None:
    assert str(choose(LatestVersioning(major), GALLERY, "")) == expected


def test_latest_compares_numbers_not_texts() -> None:
    assert str(choose(LatestVersioning(), [Version(1, 9, 0), Version(1, 10, 3)], "")) == "1.10.4"


@pytest.mark.parametrize(("major", "expected"), [(-1, "0.0.1"), (0, "0.0.1"), (4, "4.0.1")])
def test_an_empty_definition_starts_with_patch_one(major: int, expected: str) -> None:
    assert str(choose(LatestVersioning(major), [], "")) == expected


def test_source_takes_the_number_of_the_source() -> None:
    assert str(choose(SourceVersioning(), GALLERY, "0.20240717.1811")) == "0.20240717.1811"


@pytest.mark.parametrize("version", ["", "latest", "1.2", "1.2.3.4", "1.2.-3", "1.2.99999999999", "١.٢.٣", "1.2.x"])
def test_a_source_version_that_azure_would_not_take_is_refused(version: str) -> None:
    with pytest.raises(DistributionError, match="cannot be the version"):
        choose(SourceVersioning(), [], version)
    with pytest.raises(DistributionError, match="is not a version"):
        choose(ExplicitVersion(version), [], "")


@pytest.mark.parametrize("versioning", [SourceVersioning(), ExplicitVersion("1.0.1")])
def test_a_version_is_never_given_twice(versioning: SourceVersioning | ExplicitVersion) -> None:
    with pytest.raises(DistributionError, match=r"1\.0\.1 exists already"):
        choose(versioning, GALLERY, "1.0.1")


def test_numbers_end_somewhere() -> None:
    assert parse("1.2.2147483647") == Version(1, 2, 2147483647)
    assert parse("1.2.2147483648") is None
    with pytest.raises(DistributionError, match="no patch after"):
        choose(LatestVersioning(), [Version(1, 2, 2147483647)], "")
