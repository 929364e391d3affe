"""Staging in a directory on this machine, addressed by content."""

from __future__ import annotations

import posixpath
import urllib.parse
from pathlib import Path

from imagewright.core import events
from imagewright.core.actions import Remote, Staged
from imagewright.core.address import shown
from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.errors import FetchError, PlatformError
from imagewright.core.events import Emit
from imagewright.staging.fetch import Progress, read


class DirectoryStaging:
    """Keeps each artifact as `<root>/<sha256>`. Two fetches of the same content share one file."""

    def __init__(self, root: Path, emit: Emit = lambda _: None) -> None:
        self._root = root
        self._emit = emit

    def fetch(self, remote: Remote, deadline: Deadline) -> Staged:
        name = posixpath.basename(urllib.parse.urlsplit(remote.uri).path) or "artifact"
        partial = self._root / f".{fresh_name()}.part"
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                sha256, size = read(remote.uri, partial, deadline, self._tell(name))
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
        return Staged(sha256, size, name)

    def _tell(self, name: str) -> Progress:
        return lambda done, total: self._emit(events.Progress(name, done, total))

    def path(self, staged: Staged) -> Path:
        return self._root / staged.sha256
