"""Where Debian's packages come from: the mirror of the host's apt, one that the user names, or the public one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from imagewright.platforms.local import apt_sources
from imagewright.platforms.local.apt_sources import AptSource

PUBLIC = "http://deb.debian.org/debian"
PUBLIC_SECURITY = "http://deb.debian.org/debian-security"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITES = "buster|bullseye|bookworm|trixie|forky|duke|sid|stable|oldstable|oldoldstable|testing|unstable"
_MAIN = re.compile(rf"^(?:{_SUITES})(?:-updates)?$")
_SECURITY = re.compile(rf"^(?:{_SUITES})-security$")
_HOST_SEEN_FROM_THE_GUEST = "10.0.2.2"

Section = dict[str, object]


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror of Debian. `options` are apt options that are needed to use it (proxies, date checks)."""

    main: str = PUBLIC
    security: str = PUBLIC_SECURITY
    signed_by: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def sources(self, codename: str) -> tuple[AptSource, ...]:
        return (
            AptSource(self.main, codename, ("main",), self.signed_by),
            AptSource(self.main, f"{codename}-updates", ("main",), self.signed_by),
            AptSource(self.security, f"{codename}-security", ("main",), self.signed_by),
        )


def find(
    environment: Mapping[str, str] | None = None,
    sources: Iterable[AptSource] | None = None,
    options: Mapping[str, str] | None = None,
) -> Mirror:
    """The mirror to use.

    `IMAGEWRIGHT_DEBIAN_MIRROR` (and `..._SECURITY_MIRROR`, by default its sibling `debian-security`) wins; then what
    the host's apt is configured with, if that is Debian's archive; then Debian's public name.
    """
    environment = os.environ if environment is None else environment
    options = apt_sources.settings() if options is None else options
    keyring = str(KEYRING) if KEYRING.exists() else ""
    needed = tuple(sorted(options.items()))
    named = environment.get("IMAGEWRIGHT_DEBIAN_MIRROR", "").rstrip("/")
    if named:
        security = environment.get("IMAGEWRIGHT_DEBIAN_SECURITY_MIRROR", "").rstrip("/") or _sibling(named)
        return Mirror(named, security, keyring, needed)
    there = [
        source
        for source in (apt_sources.configured() if sources is None else sources)
        if "main" in source.components and source.uri.startswith(("http://", "https://"))
    ]
    main = _archive([source for source in there if _MAIN.match(source.suite)])
    security = next((source.uri.rstrip("/") for source in there if _SECURITY.match(source.suite)), PUBLIC_SECURITY)
    if main is None:
        return Mirror(PUBLIC, security, keyring, needed)
    return Mirror(main.uri.rstrip("/"), security, main.signed_by or keyring, needed)


def _archive(there: Sequence[AptSource]) -> AptSource | None:
    """Debian's own archive among what has its suites' names: vendors' repositories use them too, but have no updates
    of them, and are seldom called `debian`."""
    updated = {source.uri for source in there if source.suite.endswith("-updates")}
    called = [source for source in there if "debian" in source.uri.rstrip("/").rpartition("/")[2]]
    return next((source for source in there if source.uri in updated), next(iter(called), None))


@dataclass(frozen=True, slots=True)
class GuestApt:
    """cloud-init's `apt` section that lets a guest install packages as this machine does: `everywhere`, and in guests
    that are Debian. Either is empty when nothing is needed.

    It belongs in the seed of a build, never in an image. cloud-init writes it to `/etc/apt/mirrors/*.list`, which the
    next first boot writes anew with the image's defaults, and to `/etc/apt/apt.conf.d/94cloud-init-config`, which
    whoever uses this removes from the image.
    """

    everywhere: Section
    debian: Section

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.debian)


def guest_apt(mirror: Mirror | None = None) -> GuestApt:
    mirror = find() if mirror is None else mirror
    options = "".join(f'{name} "{_from_guest(value)}";\n' for name, value in mirror.options)
    debian: Section = {}
    if (mirror.main, mirror.security) != (PUBLIC, PUBLIC_SECURITY):  # cloud-init takes a lone one for both
        for name, uri in (("primary", mirror.main), ("security", mirror.security)):
            debian[name] = [{"arches": ["default"], "uri": _from_guest(uri)}]
    return GuestApt({"conf": options} if options else {}, debian)


def _sibling(main: str) -> str:
    return re.sub(r"/debian$", "/debian-security", main) if main.endswith("/debian") else f"{main}-security"


def _from_guest(value: str) -> str:
    """The same URL as a guest in QEMU's user network reaches it: the host's loopback is another address there."""
    parts = urlsplit(value)
    if parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        return value
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{_HOST_SEEN_FROM_THE_GUEST}{port}"))
