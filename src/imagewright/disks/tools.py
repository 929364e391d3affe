"""One run of an external tool: its lines as they come, its last words when it fails, nothing left when we stop."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from imagewright.core.errors import PlatformError

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mformat": "mtools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "setpriv": "util-linux",
    "newuidmap": "uidmap",
}
"""The programs of other people that a local build runs, and the Debian packages that they come in."""

_COUNTER = re.compile(r"\s*\([\d. ]+/100%\)")
"""How far qemu-img is: no word of why it failed."""
_LINE_END = re.compile(rb"[\r\n]")
_TICK = 0.5
_GRACE = 10.0
_KEEPER = """
trap 'trap "" TERM; kill -TERM 0; { sleep 10; kill -KILL 0; } >/dev/null 2>&1 & wait $tool; exit 143' TERM
exec 3<&0
"$@" <&3 3<&- &
tool=$!
wait $tool 2>/dev/null
"""
"""Runs a tool, and hands the signal that tells of our end to everything that the tool has started."""


class ToolError(PlatformError):
    """A tool ended with something else than 0. `code` is negative for a signal, `tail` are its last lines."""

    def __init__(self, message: str, *, code: int, tail: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.tail = tail


def run(
    argv: Sequence[str | Path],
    *,
    on_line: Callable[[str], None] | None = None,
    check: Callable[[], None] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    keep: int = 30,
) -> tuple[str, ...]:
    """Run `argv` and return its last `keep` lines of output (standard output and error together).

    A line ends with LF or CR, so that progress counters are seen. `check` is called at least twice a second; whatever
    it raises (a deadline, a cancel) ends the tool and everything it started. The tool also ends when this process is
    killed. Raises PlatformError when the tool is not installed, ToolError when it fails.
    """
    name = Path(argv[0]).name
    process = start(argv, stdin=stdin, env=env, cwd=cwd)
    tail: deque[str] = deque(maxlen=keep)

    def take(line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            if not _COUNTER.fullmatch(text):
                tail.append(text)
            if on_line is not None:
                on_line(text)

    try:
        _read(process, take, check)
        code = process.wait()
        code = 128 - code if code > 128 else code  # the way of shells to tell of a signal
    except BaseException:
        stop(process)
        raise
    if code != 0:
        raise ToolError(_complaint(name, code, tail), code=code, tail=tuple(tail), hint=_hint(tail))
    return tuple(tail)


def start(
    argv: Sequence[str | Path],
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, dying with us, output and errors on one pipe."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    for needed in ("setpriv", str(argv[0])):
        if which(needed, environment["PATH"]) is None:
            raise PlatformError(f"{needed} is not installed", hint=install(Path(needed).name))
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", _KEEPER, "sh", *map(str, argv)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End `process` and its whole session: asked first, so that it can tidy up, killed after ten seconds."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def which(name: str, path: str | None = None) -> str | None:
    """Where `name` is installed, looked up in the administrator's folders too (a user's PATH often lacks them)."""
    return shutil.which(name, path=path or f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


def _read(process: subprocess.Popen[bytes], take: Callable[[bytes], None], check: Callable[[], None] | None) -> None:
    assert process.stdout is not None
    rest = b""
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ready = selector.select(_TICK)
            if check is not None:
                check()
            if not ready:
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            *lines, rest = _LINE_END.split(rest + chunk)
            rest = rest[-(1 << 16) :]
            for line in lines:
                take(line)
    take(rest)


def _complaint(name: str, code: int, tail: Sequence[str]) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    last = "\n".join(f"  {line}" for line in list(tail)[-12:])
    return f"{name} {how}" + (f":\n{last}" if last else "")


def _hint(tail: Sequence[str]) -> str:
    if not tail:
        return "it says nothing of why: look at the free space and the rights where it writes"
    if any("No space left on device" in line for line in tail):
        return "the disk of this machine is full: free some space, or choose another folder"
    return ""


def install(*names: str) -> str:
    """How the programs `names` are had on Debian and Ubuntu."""
    return f"apt-get install {' '.join(sorted({PACKAGES.get(name, name) for name in names}))}"
