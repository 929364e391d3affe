from __future__ import annotations

from pathlib import Path

import pytest

from imagewright.platforms.local import apt_sources, debian_mirror
from imagewright.platforms.local.apt_sources import AptSource
from imagewright.platforms.local.debian_mirror import Mirror

ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb http://one.example/debian bookworm main contrib # behind
deb-src http://one.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/two.gpg] https://two.example/debian/ bookworm-updates main
deb [ signed-by=ABCDEF ] http://three.example/flat ./
nonsense
"""
DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://one.example/debian
  http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/one.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://key.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def apt(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", "/").replace("_DOT_", ".")).write_text(text)
    return folder


def test_one_line_sources_are_read(tmp_path: Path) -> None:
    assert apt_sources.configured(apt(tmp_path, sources_DOT_list=ONE_LINE)) == (
        AptSource("http://one.example/debian", "bookworm", ("main", "contrib")),
        AptSource("https://two.example/debian/", "bookworm-updates", ("main",), "/usr/share/keyrings/two.gpg"),
        AptSource("http://three.example/flat", "./", ()),
    )


def test_deb822_sources_are_read(tmp_path: Path) -> None:
    found = apt_sources.configured(apt(tmp_path, sources_DOT_list_DOT_d__debian_DOT_sources=DEB822))
    assert [(source.uri, source.suite) for source in found] == [
        ("http://one.example/debian", "bookworm"),
        ("http://one.example/debian", "bookworm-updates"),
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://key.example/debian", "bookworm"),
    ]
    assert {source.signed_by for source in found} == {"/usr/share/keyrings/one.gpg", ""}


def test_other_files_and_a_missing_folder_do_not_hurt(tmp_path: Path) -> None:
    assert apt_sources.configured(apt(tmp_path, sources_DOT_list_DOT_d__old_DOT_list_DOT_save=ONE_LINE)) == ()
    assert apt_sources.configured(tmp_path / "nowhere") == ()


def test_a_source_is_written_as_apt_reads_it() -> None:
    assert str(AptSource("http://x", "s", ("a", "b"), "/k")) == "deb [signed-by=/k] http://x s a b"
    assert str(AptSource("http://x", "s", ("a",))) == "deb http://x s a"


def test_only_the_options_that_reaching_a_mirror_needs_are_taken() -> None:
    dump = """\
APT "";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::direct.example "DIRECT";
Acquire::https::proxy "";
Acquire::GzipIndexes "true";
Dir::State "var/lib/apt";
"""
    assert apt_sources.settings(dump) == {
        "Acquire::Check-Valid-Until": "false",
        "Acquire::http::Proxy": "http://proxy.example:3128",
        "Acquire::http::Proxy::direct.example": "DIRECT",
    }


DEBIAN = AptSource("http://mirror.example/debian/", "trixie", ("main",), "/k.gpg")
SECURITY = AptSource("http://mirror.example/security", "trixie-security", ("main",), "/k.gpg")
UBUNTU = AptSource("http://archive.example/ubuntu", "noble", ("main", "universe"))


def test_the_hosts_mirror_is_used_for_any_release() -> None:
    mirror = debian_mirror.find({}, [UBUNTU, DEBIAN, SECURITY], {})
    assert [str(source) for source in mirror.sources("bookworm")] == [
        "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main",
        "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm-updates main",
        "deb [signed-by=/k.gpg] http://mirror.example/security bookworm-security main",
    ]


@pytest.mark.parametrize(
    "source",
    [
        UBUNTU,
        AptSource("http://other.example/repo", "bookworm-pgdg", ("main",)),
        AptSource("http://other.example/repo", "bookworm", ("stable",)),
        AptSource("cdrom:[Debian]/", "bookworm", ("main",)),
    ],
)
def test_what_is_not_debian_is_not_taken_for_it(source: AptSource) -> None:
    mirror = debian_mirror.find({}, [source], {})
    assert (mirror.main, mirror.security) == (debian_mirror.PUBLIC, debian_mirror.PUBLIC_SECURITY)


def test_the_user_has_the_last_word() -> None:
    mirror = debian_mirror.find({"IMAGEWRIGHT_DEBIAN_MIRROR": "http://mine.example/debian/"}, [DEBIAN, SECURITY], {})
    assert (mirror.main, mirror.security) == ("http://mine.example/debian", "http://mine.example/debian-security")
    named = {"IMAGEWRIGHT_DEBIAN_MIRROR": "http://a/d", "IMAGEWRIGHT_DEBIAN_SECURITY_MIRROR": "http://b/s/"}
    mirror = debian_mirror.find(named, [], {})
    assert (mirror.main, mirror.security) == ("http://a/d", "http://b/s")


def test_a_guest_needs_nothing_for_the_public_archive() -> None:
    assert not debian_mirror.guest_apt(Mirror())


def test_a_guest_is_told_the_mirror_the_proxy_and_where_the_host_is() -> None:
    mirror = Mirror(
        "http://mirror.example/debian",
        "http://localhost:8080/security",
        options=(("Acquire::http::Proxy", "http://127.0.0.1:3128/"), ("Acquire::Check-Valid-Until", "false")),
    )
    apt = debian_mirror.guest_apt(mirror)
    assert apt.debian == {
        "primary": [{"arches": ["default"], "uri": "http://mirror.example/debian"}],
        "security": [{"arches": ["default"], "uri": "http://10.0.2.2:8080/security"}],
    }
    assert apt.everywhere == {
        "conf": 'Acquire::http::Proxy "http://10.0.2.2:3128/";\nAcquire::Check-Valid-Until "false";\n'
    }


@pytest.mark.parametrize("mirror", [Mirror("http://mirror.example/debian"), Mirror(security="http://a.example/s")])
def test_a_guest_is_told_both_mirrors_or_none(mirror: Mirror) -> None:
    """cloud-init takes a lone `primary` for the security archive too, and a lone `security` for nothing."""
    told = debian_mirror.guest_apt(mirror).debian
    assert told["primary"] == [{"arches": ["default"], "uri": mirror.main}]
    assert told["security"] == [{"arches": ["default"], "uri": mirror.security}]


def test_vendors_repositories_are_not_debians() -> None:
    code = AptSource("https://packages.example/repos/code", "stable", ("main",), "/code.gpg")
    lab = AptSource("https://packages.example/lab/debian", "bookworm", ("main",), "/lab.gpg")
    cache = AptSource("http://cache.example/os", "bookworm", ("main",))
    updates = AptSource("http://cache.example/os", "bookworm-updates", ("main",))
    assert debian_mirror.find({}, [code], {}).main == debian_mirror.PUBLIC
    assert debian_mirror.find({}, [code, lab, cache, updates], {}).main == "http://cache.example/os"
    assert debian_mirror.find({}, [code, DEBIAN], {}).main == DEBIAN.uri.rstrip("/")
