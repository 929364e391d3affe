"""Which Debian a mirror holds right now, as a version number: the same packages make the same number everywhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from imagewright.core.address import shown
from imagewright.core.digest import digest
from imagewright.core.errors import PlatformError
from imagewright.disks import tools
from imagewright.platforms.local.debian_mirror import Mirror

_INDEX = "main/binary-amd64/Packages"


def current(codename: str, mirror: Mirror, recipe: int, check: Callable[[], None] | None = None) -> str:
    """The version of what `mirror` holds of `codename`, in the form of Debian's Azure images: `0.<yyyymmdd>.<n>`.

    The day is the latest on which a suite was published, `n` stands for the suites' package indexes and for `recipe`.
    Only the suites' Release files are read, by the apt of this machine, which checks their signatures. Raises
    PlatformError when the mirror cannot be reached or is not believed.
    """
    return version_of(_releases(codename, mirror, check), recipe)


def version_of(releases: Sequence[str], recipe: int) -> str:
    """The version that the texts of some Release files make. Raises PlatformError if one has no package index."""
    days, indexes = [], []
    for text in releases:
        date, index = _facts(text)
        days.append(date)
        indexes.append(index)
    number = int(digest("imagewright.debian.v1", recipe, tuple(indexes))[:6], 16)
    return f"0.{max(days):%Y%m%d}.{number}"


def _facts(text: str) -> tuple[datetime, str]:
    """When a Release file was made, and the SHA-256 of its package index."""
    date, index, inside = "", "", False
    for line in text.splitlines():
        if line.startswith(" ") and inside:
            parts = line.split()
            if len(parts) == 3 and parts[2].startswith(_INDEX) and len(parts[0]) == 64:
                index = max(index, f"{parts[2]} {parts[0]}")
        else:
            inside = line.strip() == "SHA256:"
            if line.startswith("Date:"):
                date = line.partition(":")[2].strip()
    try:
        made = parsedate_to_datetime(date.replace("UTC", "+0000"))
    except ValueError as error:
        raise PlatformError(f"a Release file of Debian has no date that can be read: {date!r}") from error
    if not index:
        raise PlatformError(
            f"a Release file of Debian names no {_INDEX}", hint="is this a mirror of Debian, for amd64?"
        )
    return made.astimezone(UTC), index


def _releases(codename: str, mirror: Mirror, check: Callable[[], None] | None) -> list[str]:
    sources = mirror.sources(codename)
    with tempfile.TemporaryDirectory(prefix="imagewright-apt-") as name:
        folder = Path(name)
        for part in ("lists/partial", "cache/archives/partial", "empty"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("".join(f"{source}\n" for source in sources))
        options = {
            "Dir::Etc::Main": f"{folder}/none",
            "Dir::Etc::Parts": f"{folder}/empty",
            "Dir::Etc::SourceList": f"{folder}/sources.list",
            "Dir::Etc::SourceParts": f"{folder}/empty",
            "Dir::State": str(folder),
            "Dir::State::Lists": f"{folder}/lists",
            "Dir::State::Status": f"{folder}/status",
            "Dir::Cache": f"{folder}/cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::Packages::DefaultEnabled": "false",
            **dict(mirror.options),
        }
        config = folder / "apt.conf"
        config.write_text("".join(f'{option} "{value}";\n' for option, value in options.items()))
        said = tools.run(["apt-get", "update"], env={"APT_CONFIG": str(config)}, check=check)
        found = sorted((folder / "lists").glob("*Release"))
        if len(found) < len(sources):
            reasons = [line for line in said if line.startswith(("E:", "W:", "Err:"))]
            raise PlatformError(
                f"the package mirror {shown(mirror.main)} could not be read: "
                f"{'; '.join(reasons[:3]) or 'no Release files'}",
                hint="look whether this machine reaches it; IMAGEWRIGHT_DEBIAN_MIRROR names another one",
            )
        return [path.read_text(errors="replace") for path in found]
