"""Staging in a directory on this machine, addressed by content."""

from __future__ import annotations

import posixpath
import urllib.parse
from pathlib import Path

from imagewright.core.actions import Remote, Staged
from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.errors import FetchError, PlatformError
from imagewright.staging.fetch import read, shown


class DirectoryStaging:
    """Keeps each artifact as `<root>/<sha256>`. Two fetches of the same content share one file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, remote: Remote, deadline: Deadline) -> Staged:
        partial = self._root / f".{fresh_name()}.part"
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                sha256, size = read(remote.uri, partial, deadline)
                if remote.sha256 and sha256 != remote.sha256:
                    raise FetchError(
                        f"{shown(remote.uri)} has the checksum {sha256}, the template expects {remote.sha256}",
                        hint="the file has changed, or the template's `sha256Checksum` is that of another one",
                    )
                partial.replace(self._root / sha256)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise PlatformError(
                f"{self._root} could not be written: {error.strerror}",
                hint="free some space, or choose another --home",
            ) from error
        name = posixpath.basename(urllib.parse.urlsplit(remote.uri).path) or "artifact"
        return Staged(sha256, size, name)

    def path(self, staged: Staged) -> Path:
        return self._root / staged.sha256
