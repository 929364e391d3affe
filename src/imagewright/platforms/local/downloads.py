"""Cloud images as their vendors publish them: what is the latest, fetch it, and believe nothing but its checksum."""

from __future__ import annotations

import http.client
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from imagewright.core.address import shown
from imagewright.core.clock import Deadline
from imagewright.core.errors import FetchError
from imagewright.core.files import digest_of
from imagewright.platforms.local import qemu_img
from imagewright.platforms.local.catalog import Download
from imagewright.staging import fetch as fetching
from imagewright.staging.request import ask

_HEX = r"(?:[0-9a-fA-F]{128}|[0-9a-fA-F]{64})"


@dataclass(frozen=True, slots=True)
class Latest:
    """What a vendor offers now. `checksum` is lower-case hex: SHA-256 (64 digits) or SHA-512 (128)."""

    version: str
    checksum: str


def latest(recipe: Download, deadline: Deadline) -> Latest:
    """The version is made of the day of the last change and of the checksum, as vendors have no common numbering."""
    checksum = recipe.sha256
    if not checksum:
        with tempfile.TemporaryDirectory(prefix="imagewright-sums-") as folder:
            sums = Path(folder) / "sums"
            fetching.read(recipe.checksums, sums, deadline)
            text = sums.read_bytes()[: 1 << 20].decode("utf-8", "replace")
        checksum = find_checksum(text, recipe.file_name)
        if not checksum:
            raise FetchError(f"{shown(recipe.checksums)} has no checksum of {recipe.file_name}")
    return Latest(f"0.{_day(recipe.url)}.{int(checksum[:6], 16)}", checksum)


def find_checksum(text: str, name: str) -> str:
    """The checksum of the file `name` in a file of checksums, the strongest if there are several; `""` if none.

    Both common forms are read: `DIGEST *NAME` and `SHA256 (NAME) = DIGEST`.
    """
    quoted = re.escape(name)
    pattern = (
        rf"^(?:({_HEX})[ \t]+\*?(?:\./)?{quoted}|SHA\d+[ \t]*\((?:\./)?{quoted}\)[ \t]*=[ \t]*({_HEX}))[ \t]*\r?$"
    )
    found = [(one or other).lower() for one, other in re.findall(pattern, text, re.MULTILINE)]
    return max(found, key=len, default="")


def fetch(
    recipe: Download, checksum: str, work: Path, target: Path, progress: fetching.Progress, deadline: Deadline
) -> None:
    """Download to `work`, check, and leave a qcow2 at `target`. Raises FetchError with the URL and the reason."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / "download"
    sha256, _ = fetching.read(recipe.url, file, deadline, progress)
    found = sha256 if len(checksum) == 64 else digest_of(file, deadline.check, "sha512")
    if found != checksum:
        raise FetchError(
            f"{shown(recipe.url)} does not have its vendor's checksum: {found}, expected {checksum}",
            hint="it may have changed during the download: try again, and if that does not help, trust it not",
        )
    info = qemu_img.info(file)
    if info.backing is not None:
        raise FetchError(f"{shown(recipe.url)} is only what differs from another disk")
    if info.corrupt:
        raise FetchError(f"{shown(recipe.url)} is marked as corrupt", hint="its vendor has to mend it")
    if info.format == "qcow2":
        file.replace(target)
    else:
        if info.format == "raw":
            os.truncate(file, info.virtual_size)  # behind the disk of a VHD is its footer
        qemu_img.convert(file, info.format, target, "qcow2", check=deadline.check)


def _day(url: str) -> str:
    """The day on which the server says that the file changed, today if it does not say."""
    changed = ""
    try:
        with ask(url, 30, "HEAD") as answer:
            changed = answer.headers.get("Last-Modified", "")
        day = parsedate_to_datetime(changed)
    except (OSError, ValueError, http.client.HTTPException):
        day = datetime.now(UTC)
    return f"{day:%Y%m%d}"
