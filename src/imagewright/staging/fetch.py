"""Reads a URI to a file, hashing while it streams, with retries that end."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imagewright.core.address import shown
from imagewright.core.clock import Deadline
from imagewright.core.errors import FetchError, PlatformError
from imagewright.core.files import oddity
from imagewright.staging.request import ask

ATTEMPTS = 5
CONNECT_SECONDS = 30.0
CHUNK = 1 << 20
STRIDE = 4 << 20
"""Bytes: how far a copy goes from one word about it to the next."""
LASTING = frozenset({400, 401, 403, 404, 405, 410, 451})
"""Answers that another attempt will not change."""


Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all, 0 where nobody knows. What is small is not told of."""


class _TransientError(Exception):
    pass


def read(uri: str, target: Path, deadline: Deadline, progress: Progress | None = None) -> tuple[str, int]:
    """Write what is behind `uri` (http, https, file, or a plain path) to `target`; return its SHA-256 and size.

    A user and password in the URI are sent as HTTP's Basic authentication. Raises FetchError with the URI, without
    its user and query, and the reason.
    """
    try:
        scheme = urllib.parse.urlsplit(uri).scheme
    except ValueError as error:
        raise _no_address(uri) from error
    if scheme in ("http", "https"):
        return _download(uri, target, deadline, progress)
    path = local_path(uri)
    try:
        if odd := oddity(path):
            raise FetchError(
                f"{path} is {odd}",
                hint="name one file; a folder comes into the image by `--artifacts`",
            )
        with path.open("rb") as source:
            return _copy(source, target, deadline, progress, path.stat().st_size)
    except ValueError as error:
        raise FetchError(f"{str(path)!r} is not a path: {error}", hint="look at its characters") from error
    except OSError as error:
        raise FetchError(
            f"{path} could not be read: {error.strerror}", hint="paths are relative to the template's directory"
        ) from error


def local_path(uri: str) -> Path:
    """The path behind `file:///...` or behind a plain path."""
    parts = urllib.parse.urlsplit(uri)
    return Path(urllib.request.url2pathname(parts.path) if parts.scheme == "file" else uri)


def _download(uri: str, target: Path, deadline: Deadline, progress: Progress | None) -> tuple[str, int]:
    reason = ""
    for pause in _pauses():
        try:
            return _attempt(uri, target, deadline, progress)
        except _TransientError as error:
            reason = str(error)
            deadline.wait(pause)
    raise FetchError(
        f"{shown(uri)} could not be read in {ATTEMPTS} attempts: {reason}",
        hint="look whether this machine reaches the address (proxy, firewall, spelling)",
    )


def _pauses() -> Iterator[float]:
    return iter([0.5 * 2**attempt for attempt in range(ATTEMPTS - 1)] + [0.0])


def _attempt(uri: str, target: Path, deadline: Deadline, progress: Progress | None) -> tuple[str, int]:
    try:
        seconds = min(CONNECT_SECONDS, deadline.remaining() or 0.1)
        with ask(uri, seconds) as answer:
            expected = answer.length
            sha256, size = _copy(answer, target, deadline, progress, expected or 0)
            if expected is not None and size != expected:
                raise _TransientError(f"the connection ended after {size} of {expected} bytes")
            return sha256, size
    except urllib.error.HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            raise FetchError(
                f"{shown(uri)} could not be read: the server answers {error.code}, and where to is not followed",
                hint="give the address where the file really is",
            ) from error
        if error.code in LASTING:
            raise FetchError(
                f"{shown(uri)} could not be read: the server answers {error.code} {error.reason}",
                hint="look at the address, and whether a private one needs a signature (SAS)",
            ) from error
        raise _TransientError(f"the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _TransientError(str(error.reason)) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise _no_address(uri) from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(str(error) or type(error).__name__) from error


def _no_address(uri: str) -> FetchError:
    """Python's own words about such an address may hold all of it, or that of a redirection."""
    return FetchError(
        f"{shown(uri)} is no address that can be read, or leads to one",
        hint="look at its host, its port and its characters: %20 is a space",
    )


def _copy(
    source: io.BufferedIOBase, target: Path, deadline: Deadline, progress: Progress | None, total: int
) -> tuple[str, int]:
    """Whatever has come is taken, so that a slow server does not keep the deadline from being seen."""
    running = hashlib.sha256()
    size = told = 0
    with _writing(target) as write:
        while chunk := source.read1(CHUNK):
            deadline.check()
            running.update(chunk)
            size += len(chunk)
            write(chunk)
            if progress is not None and size - told >= STRIDE:
                told = size
                progress(size, total)
    if progress is not None and told:
        progress(size, size)
    return running.hexdigest(), size


@contextmanager
def _writing(target: Path) -> Iterator[Callable[[bytes], None]]:
    """What appends to `target`. A full disk raises PlatformError: the address that is read is not to blame for it."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    except OSError as error:
        raise _unwritable(target, error) from error

    def write(chunk: bytes) -> None:
        left = memoryview(chunk)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            raise _unwritable(target, error) from error

    try:
        yield write
    finally:
        os.close(descriptor)


def _unwritable(target: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"{target.parent} could not be written: {error.strerror}",
        hint="free some space, or choose another place with `--home`",
    )
