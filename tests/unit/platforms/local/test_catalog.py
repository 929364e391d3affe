from __future__ import annotations

from pathlib import Path

import pytest

from imagewright.core.errors import OptionsError, PlatformError
from imagewright.core.plan import Generation, OsType, PlatformImage
from imagewright.platforms.local import catalog
from imagewright.platforms.local.catalog import Bootstrap, Download, LocalFile, Recipe
from imagewright.platforms.local.debian import BOOKWORM


def find(urn: str, home: Path = Path("/nowhere"), variable: str = "") -> Recipe:
    publisher, offer, sku, *version = urn.split(":")
    environment = {"IMAGEWRIGHT_CATALOG": variable} if variable else {}
    return catalog.find(PlatformImage(publisher, offer, sku, version[0] if version else "latest"), home, environment)


def test_debian_12_is_bootstrapped_in_both_generations() -> None:
    assert find("Debian:debian-12:12") == Recipe(Bootstrap(BOOKWORM), Generation.V1, OsType.LINUX)
    assert find("debian:DEBIAN-12:12-gen2").generation is Generation.V2


@pytest.mark.parametrize(
    ("urn", "file", "generation"),
    [
        ("Debian:debian-11:11", "debian-11-genericcloud-amd64.qcow2", Generation.V1),
        ("Debian:debian-13:13-gen2", "debian-13-genericcloud-amd64.qcow2", Generation.V2),
        ("Canonical:0001-com-ubuntu-server-jammy:22_04-lts", "jammy-server-cloudimg-amd64.img", Generation.V1),
        ("Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2", "jammy-server-cloudimg-amd64.img", Generation.V2),
        ("Canonical:ubuntu-24_04-lts:server", "noble-server-cloudimg-amd64.img", Generation.V2),
        ("Canonical:ubuntu-24_04-lts:server-gen1", "noble-server-cloudimg-amd64.img", Generation.V1),
        ("canonical:UbuntuServer:18.04-LTS", "bionic-server-cloudimg-amd64.img", Generation.V1),
        ("almalinux:almalinux-x86_64:9-gen2", "AlmaLinux-9-GenericCloud-latest.x86_64.qcow2", Generation.V2),
        ("resf:rockylinux-x86_64:9-base", "Rocky-9-GenericCloud-Base.latest.x86_64.qcow2", Generation.V2),
    ],
)
def test_well_known_images_are_the_vendors_own(urn: str, file: str, generation: Generation) -> None:
    recipe = find(urn)
    assert isinstance(recipe.origin, Download)
    assert recipe.origin.url.endswith(f"/{file}")
    assert recipe.origin.checksums.startswith("https://")
    assert recipe.generation is generation


@pytest.mark.parametrize(
    ("urn", "reason"),
    [
        ("MicrosoftWindowsServer:WindowsServer:2022-datacenter-g2", "Windows cannot be built on the local platform"),
        ("MicrosoftWindowsDesktop:windows-11:win11-23h2-avd", "Windows cannot be built on the local platform"),
        ("Debian:debian-12:12-arm64", "it is for ARM64"),
        ("Canonical:ubuntu-24_04-lts:server-arm64", "it is for ARM64"),
        ("RedHat:RHEL:9-lvm-gen2", "subscribers only"),
        ("SUSE:sles-15-sp5:gen2", "subscribers only"),
        ("MicrosoftCBLMariner:azure-linux-3:azure-linux-3-gen2", "Azure Linux"),
        ("OpenLogic:CentOS:7_9", "has ended"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(urn: str, reason: str) -> None:
    with pytest.raises(PlatformError, match=reason) as caught:
        find(urn)
    assert caught.value.hint


def test_an_unknown_image_is_answered_with_the_nearest_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(PlatformError) as caught:
        find("Debian:debian12:12", tmp_path)
    assert "did you mean debian:debian-12:12?" in caught.value.message
    assert str(tmp_path / "catalog.yaml") in caught.value.hint
    with pytest.raises(PlatformError, match=r"is not known$"):
        find("Contoso:web:base", tmp_path)


def written(folder: Path, text: str) -> Path:
    path = folder / "catalog.yaml"
    path.write_text(text)
    return path


DIGEST = "Ab" * 32


def test_the_users_own_catalog_comes_first(tmp_path: Path) -> None:
    written(
        tmp_path,
        f"""\
images:
  "Contoso:web:*": {{path: disks/web.qcow2}}
  "debian:debian-12:12": {{url: "https://example.org/d.qcow2", sha256: {DIGEST}, generation: V2}}
  "contoso:pinned:base:1.0.0": {{path: /one.qcow2, sha256: {DIGEST}}}
  "contoso:pinned:base": {{path: ~/two.qcow2}}
""",
    )
    assert find("contoso:WEB:base", tmp_path) == Recipe(LocalFile(tmp_path / "disks/web.qcow2"), None, OsType.LINUX)
    debian = find("Debian:debian-12:12", tmp_path)
    assert debian == Recipe(Download("https://example.org/d.qcow2", DIGEST.lower()), Generation.V2, OsType.LINUX)
    assert find("Debian:debian-12:12-gen2", tmp_path).origin == Bootstrap(BOOKWORM)
    assert find("contoso:pinned:base:1.0.0", tmp_path).origin == LocalFile(Path("/one.qcow2"), DIGEST.lower())
    assert find("contoso:pinned:base:latest", tmp_path).origin == LocalFile(Path.home() / "two.qcow2")


def test_a_variable_names_another_catalog(tmp_path: Path) -> None:
    named = written(tmp_path, "images: {'a:b:c': {path: x}}")
    assert find("a:b:c", Path("/nowhere"), str(named)).origin == LocalFile(tmp_path / "x")
    with pytest.raises(OptionsError, match="cannot be read"):
        find("a:b:c", tmp_path, "/no/such/file")
    with pytest.raises(PlatformError) as unknown:
        find("a:b:d", Path("/nowhere"), str(named))
    assert str(named) in unknown.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "- a",
        "images: 3",
        "other: {}",
        "images: {'a:b:c': {}}",
        "images: {'a:b:c': {url: 'https://x/y'}}",
        "images: {'a:b:c': {url: 'ftp://x/y', checksums: 'https://x/s'}}",
        "images: {'a:b:c': {url: 'https://x/y', sha256: abc}}",
        "images: {'a:b:c': {path: x, url: 'https://x/y', checksums: 'https://x/s'}}",
        "images: {'a:b:c': {path: x, generation: V3}}",
        "images: {'a:b:c': {path: x, color: red}}",
        "images: !!python/object/apply:os.system [true]",
        "\x00",
    ],
)
def test_a_catalog_that_is_none_is_an_error_with_its_name(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(OptionsError) as caught:
        find("a:b:c", tmp_path)
    assert str(path) in caught.value.message


def test_an_empty_catalog_is_one(tmp_path: Path) -> None:
    written(tmp_path, "# nothing yet\n")
    assert find("Debian:debian-12:12", tmp_path).origin == Bootstrap(BOOKWORM)
