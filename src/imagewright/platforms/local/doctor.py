"""Whether this machine can build: the tools, the firmware, the accelerator, the space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from imagewright.core.choices import Accelerator as Wanted
from imagewright.core.errors import PlatformError
from imagewright.core.report import Check, Verdict
from imagewright.disks.tools import install, which
from imagewright.platforms import Settings
from imagewright.platforms.local import accelerator, firmware

QEMU = "qemu-system-x86_64"
GIB = 1 << 30
LEAST, ENOUGH = 5 * GIB, 20 * GIB
"""A build needs about 4 GiB besides its VHD; with less than 20 GiB the cache stays small."""

TOOLS = ("qemu-img", "mformat", "mcopy", "setpriv")
BOOTSTRAP_TOOLS = ("mmdebstrap", "sfdisk", "mke2fs", "mkfs.vfat", "mmd")


def checks(settings: Settings) -> Iterator[Check]:
    """Everything that is looked at, in the order in which a build needs it."""
    yield _tool(QEMU, Verdict.BAD)
    yield from (_tool(name, Verdict.BAD) for name in TOOLS)
    yield _firmware()
    yield from (_tool(name, Verdict.POOR) for name in BOOTSTRAP_TOOLS)
    if os.geteuid() != 0:
        yield _tool("newuidmap", Verdict.POOR)
    if which(QEMU):
        yield _accelerator(settings)
    yield _space(settings.home)


def _tool(name: str, without: Verdict) -> Check:
    found = which(name)
    if found:
        return Check(name, Verdict.GOOD, found)
    lacking = "is missing" if without is Verdict.BAD else "is missing: Debian's own images cannot be bootstrapped"
    return Check(name, without, lacking, f"`script/build` installs it; by hand: {install(name)}")


def _firmware() -> Check:
    try:
        code, _ = firmware.find()
    except PlatformError as error:
        return Check("ovmf", Verdict.POOR, f"is missing: {error.message}", "apt-get install ovmf")
    return Check("ovmf", Verdict.GOOD, str(code))


def _accelerator(settings: Settings) -> Check:
    wanted = settings.accelerator
    try:  # a build believes who asks for KVM, whoever asks here wants to know
        chosen = accelerator.choose(settings.home, QEMU, Wanted.AUTO if wanted is Wanted.KVM else wanted)
    except PlatformError as error:
        return Check("accelerator", Verdict.BAD, error.message, error.hint)
    if wanted is Wanted.KVM and chosen.name != "kvm":
        return Check(
            "accelerator", Verdict.BAD, chosen.why, "leave `--accelerator kvm` out: builds are emulated then"
        )
    verdict = Verdict.GOOD if chosen.name == "kvm" else Verdict.POOR
    hint = "" if chosen.name == "kvm" else "builds work, some ten times slower than with KVM"
    return Check("accelerator", verdict, f"{chosen.name}: {chosen.why}", hint)


def _space(home: Path) -> Check:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check("home", Verdict.BAD, f"nothing can be kept in {home}: {place} cannot be written to", "--home")
    free = shutil.disk_usage(place).free
    verdict = Verdict.BAD if free < LEAST else Verdict.POOR if free < ENOUGH else Verdict.GOOD
    hint = "" if verdict is Verdict.GOOD else "free some space, `imagewright cache prune`, or choose another `--home`"
    return Check("disk space", verdict, f"{free / GIB:.1f} GiB free at {place}", hint)
