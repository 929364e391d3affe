"""What qemu-img does for us, each as one function. Errors are PlatformErrors that name the file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagewright.core.errors import PlatformError
from imagewright.disks import tools, vhd
from imagewright.disks.convert import Progress
from imagewright.disks.convert import convert as _convert


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """`virtual_size` in bytes; `backing` is the file below, made absolute, or None."""

    format: str
    virtual_size: int
    backing: Path | None = None
    corrupt: bool = False


def info(path: Path, format: str = "") -> ImageInfo:  # noqa: A002
    """What `path` is. `format` is probed when not given; a VHD is known by its footer, which qemu-img overlooks.

    A fixed VHD is a raw disk of the size that its footer says, with that footer behind it: QEMU would take the size
    from the footer's geometry, which is smaller, for what it has not made itself.
    """
    footer = None if format else _vhd_footer(path)
    if footer is not None and footer.kind == vhd.FIXED:
        return ImageInfo("raw", footer.current_size)
    known = format or ("vpc" if footer is not None else "")
    argv = ["info", "--force-share", "--output=json", *(["-f", known] if known else []), str(path)]
    try:
        found = json.loads(_output(argv, path))
        full_backing = found.get("full-backing-filename")
        specific = found.get("format-specific", {}).get("data", {})
        return ImageInfo(
            found["format"],
            found["virtual-size"],
            Path(full_backing) if full_backing else None,
            bool(specific.get("corrupt")),
        )
    except (ValueError, KeyError) as error:
        raise PlatformError(f"qemu-img said nothing sensible about {path}") from error


def create_overlay(backing: Path, format: str, target: Path, size: int | None = None) -> None:  # noqa: A002
    """A new qcow2 at `target` that reads through to `backing` (of `format`), as large, or `size` bytes."""
    argv = ["create", "-q", "-f", "qcow2", "-F", format, "-b", str(backing.resolve()), str(target)]
    _output([*argv, *([str(size)] if size is not None else [])], target)


def create_layer(backing: Path, size: int, target: Path) -> None:
    """A new qcow2 of `size` bytes over a qcow2 that a running QEMU holds: `backing` is named, not opened."""
    _output(["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(backing), str(target), str(size)], target)


def create_empty(target: Path, size: int, format: str = "qcow2") -> None:  # noqa: A002
    """A new empty disk of `size` bytes."""
    _output(["create", "-q", "-f", format, str(target), str(size)], target)


def head(path: Path, format: str, scratch: Path, size: int) -> bytes:  # noqa: A002
    """The first `size` bytes of the disk, by way of a new file `scratch`."""
    argv = ["dd", "-f", format, "-O", "raw", "bs=512", f"count={size // 512}", f"if={path}", f"of={scratch}"]
    _output(argv, path)
    return scratch.read_bytes()


def convert(
    source: Path,
    source_format: str,
    target: Path,
    target_format: str,
    *,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Copy a disk into another format. `target` is removed again on failure. Backing files are folded in."""
    size = info(source, source_format).virtual_size if progress is not None else 0
    _convert(source, source_format, target, target_format, size=size, progress=progress, check=check)


def _vhd_footer(path: Path) -> vhd.Footer | None:
    try:
        with path.open("rb") as file:
            return vhd.footer_of(file)
    except OSError:
        return None


def _run(argv: list[str]) -> tuple[int, str]:
    if tools.which("qemu-img") is None:
        raise PlatformError("qemu-img is not installed", hint=tools.install("qemu-img"))
    done = subprocess.run(
        ["qemu-img", *argv], capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout if done.returncode == 0 or done.stdout else done.stderr


def _output(argv: list[str], path: Path) -> str:
    code, said = _run(argv)
    if code != 0:
        reason = said.strip().removeprefix("qemu-img: ")
        raise PlatformError(f"qemu-img {argv[0]} failed on {path}: {reason}", hint=_hint(reason))
    return said


def _hint(reason: str) -> str:
    if "No space left" in reason:
        return "the disk of this machine is full: free some space, or choose another folder"
    if "lock" in reason:
        return "another QEMU uses this disk"
    return ""
