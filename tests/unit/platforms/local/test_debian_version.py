from __future__ import annotations

import pytest

from imagewright.core.errors import PlatformError
from imagewright.platforms.local.debian_version import version_of


def release(date: str, digest: str, index: str = "main/binary-amd64/Packages.xz") -> str:
    return f"""\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Debian
Suite: oldstable
Date: {date}
MD5Sum:
 0123456789abcdef0123456789abcdef  1 {index}
SHA256:
 {"f" * 64}  7 contrib/binary-amd64/Packages.xz
 {digest * 64}  8788428 {index}
Other: x
 {"e" * 64}  1 {index}
-----BEGIN PGP SIGNATURE-----
"""


SUITES = [release("Sat, 11 Jul 2026 10:16:37 UTC", "a"), release("Sun, 22 Nov 2026 23:30:00 +0000", "b")]


def test_a_version_has_the_day_of_the_latest_suite_and_a_number() -> None:
    zero, day, number = version_of(SUITES, 1).split(".")
    assert (zero, day) == ("0", "20261122")
    assert 0 <= int(number) < 2**24


def test_the_number_stands_for_the_packages_and_the_recipe() -> None:
    changed = [SUITES[0], release("Sun, 22 Nov 2026 23:30:00 +0000", "c")]
    versions = {version_of(SUITES, 1), version_of(changed, 1), version_of(SUITES, 2)}
    assert len(versions) == 3
    assert version_of(SUITES, 1) == version_of(list(SUITES), 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no date"),
        (release("yesterday", "a"), "no date"),
        (
            release("Sat, 11 Jul 2026 10:16:37 UTC", "a", "main/binary-arm64/Packages.xz"),
            "names no main/binary-amd64",
        ),
    ],
)
def test_what_is_no_release_file_is_said(text: str, complaint: str) -> None:
    with pytest.raises(PlatformError, match=complaint):
        version_of([text], 1)
