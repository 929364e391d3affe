"""KVM where it really works, otherwise software emulation. Which one it is gets probed once, and remembered.

On some hosts /dev/kvm opens and the firmware even runs, but a 64-bit guest hangs without a word, or QEMU aborts.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

from imagewright.core import choices
from imagewright.core.errors import PlatformError
from imagewright.core.files import write_whole
from imagewright.platforms.local import accelerator_probe
from imagewright.platforms.local.background import Background

KVM = Path("/dev/kvm")
DOUBT_SECONDS = 86400.0
_KVM_CPUS = ("host", "max", "qemu64")
_TCG_CPU = "max,la57=off,erms=off"  # five-level paging and `rep movsb` are slow to emulate


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How QEMU runs guests here: `name` is `kvm` or `tcg`, `why` a clause that says why it was chosen."""

    name: str
    arguments: tuple[str, ...]
    cpu: str
    why: str


def choose(home: Path, qemu: str, wanted: choices.Accelerator = choices.Accelerator.AUTO) -> Accelerator:
    """The accelerator for `qemu`. One that is `wanted` by name is believed without a probe.

    A verdict is kept in `home/accelerator.json` until QEMU, the kernel or the processor changes; one against KVM for
    a day only, for the host may just have been busy. It takes at most three seconds, and nothing while it is kept.
    """
    match wanted:
        case choices.Accelerator.KVM:
            return _kvm("host", "as you asked")
        case choices.Accelerator.TCG:
            return _tcg("as you asked")
        case choices.Accelerator.AUTO:
            return _probed(home, qemu)


@cache
def qemu_version(qemu: str) -> str:
    """The first line that `qemu --version` prints. Raises PlatformError if it is not installed."""
    try:
        said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise PlatformError(f"{qemu} is not installed", hint="apt-get install qemu-system-x86") from error
    return said.splitlines()[0] if said else ""


def _probed(home: Path, qemu: str) -> Accelerator:
    if not KVM.exists():
        return _tcg("this machine has no /dev/kvm")
    if not os.access(KVM, os.R_OK | os.W_OK):
        return _tcg("/dev/kvm is there but not for you: join the group kvm")
    key = f"{qemu_version(qemu)} | {platform.release()} | {_cpu_model()}"
    memory = home / "accelerator.json"
    known = _recall(memory)
    verdict = known.get(key)
    if verdict is None or not (verdict.cpu or 0 <= time.time() - verdict.at < DOUBT_SECONDS):
        verdict = known[key] = _verdict(qemu)
        _remember(memory, known)
    return _kvm(verdict.cpu, verdict.why) if verdict.cpu else _tcg(verdict.why)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """`cpu` is the model with which KVM works, `""` if it does not; `at` is when that was found, in Unix time."""

    cpu: str
    why: str
    at: float


def _verdict(qemu: str) -> _Verdict:
    """The first CPU model with which KVM passes the probe; or none, and what came of the plainest."""
    probing = [Background(partial(accelerator_probe.probe, qemu, "kvm", cpu)) for cpu in _KVM_CPUS]
    complaint = ""
    for cpu, probe in zip(_KVM_CPUS, probing, strict=True):
        complaint = probe.join()
        if not complaint:
            return _Verdict(cpu, "it ran a 64-bit probe", time.time())
    return _Verdict("", f"KVM does not work here: {complaint}", time.time())


def _kvm(cpu: str, why: str) -> Accelerator:
    return Accelerator("kvm", ("-accel", "kvm"), cpu, why)


def _tcg(why: str) -> Accelerator:
    return Accelerator("tcg", ("-accel", "tcg,thread=multi"), _TCG_CPU, why)


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def _recall(memory: Path) -> dict[str, _Verdict]:
    try:
        known = json.loads(memory.read_text())
        return {key: _Verdict(str(one["cpu"]), str(one["why"]), float(one["at"])) for key, one in known.items()}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return {}


def _remember(memory: Path, known: dict[str, _Verdict]) -> None:
    """Losing the race against another build costs a probe, no more; a full disk costs no build."""
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_whole(memory, json.dumps({key: asdict(one) for key, one in known.items()}, indent=1) + "\n")
    except OSError:
        pass
