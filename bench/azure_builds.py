"""The measurements behind docs/benchmarks/azure.md: builds as processes, each beside a simulated Azure of its own.

    python bench/azure_builds.py [--speed 1] [--no-packer] [--many 50] [--alone 3]

Nothing here was measured on Azure: how long its operations last is the table of tests/simulated/armsim/pace.py. A
--speed other than 1 is for trying the script: processes do not start faster then, and no page is written.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure_simulated import ROOT, Azure, imagewright, managed, packer, shared

sys.path.insert(0, str(ROOT / "tests" / "simulated"))

from armsim.compute.galleries import Versions
from armsim.compute.machines import Machines
from armsim.kinds import Kind
from armsim.network.virtual_networks import VirtualNetworks
from armsim.pace import DURATIONS, Source

PAGE = ROOT / "docs" / "benchmarks" / "azure.md"
CORES = ("cores=10000", "standardDSv5Family=10000")
LONGEST, OF_PACKER, CALLS, SLOWER, MIB = 1.1, 0.6, 60, 1.3, 20.0
"""The goals of issue 3."""

PREPARED = ("network/virtualnetworks create", "network/networkinterfaces create", "compute/virtualmachines create")
CAPTURED = (*PREPARED, "compute/virtualmachines poweroff", "compute/snapshots create")
IMAGE, VERSION, GONE = "compute/images create", "images/versions create", "resources/resourcegroups delete"
APART = 15.0
"""Seconds between the starts of builds: each loads its SDKs first, which fills a core for some seconds."""

SHALLOW = 60.0
"""Seconds of a version without replication; assumed, as in the simulator."""


def lasts(*steps: str) -> float:
    """The seconds in the table of each `type verb`, summed up."""
    rows = {f"{kind} {verb}": row.seconds for (kind, verb), row in DURATIONS.items()}
    return sum(next(seconds for name, seconds in rows.items() if name.endswith(step)) for step in steps)


@dataclass(frozen=True)
class Work:
    """One measured build. `chain`: the seconds of those operations of which each needs the one before (0 where no
    goal is set to it). `rival`: the packer build that makes the same. `again`: measured is the second such build."""

    name: str
    do: Callable[[Azure], None]
    chain: float = 0.0
    rival: str = ""
    again: bool = False


def works(*, with_packer: bool) -> list[Work]:
    gone, image, full = lasts(GONE), lasts(IMAGE), lasts(VERSION)
    captured = lasts(*CAPTURED)

    def ours(name: str, target: Callable[[Azure], dict[str, Any]], last: float, rival: str = "") -> list[Work]:
        """By default the disk is kept in the cache, and the group of the build goes while the target is written."""
        return [
            Work(
                f"{name}, --no-cache",
                lambda azure: imagewright(azure, target(azure), "--no-cache"),
                captured + last + gone,
                rival,
            ),
            Work(name, lambda azure: imagewright(azure, target(azure)), captured + max(last, gone), rival),
        ]

    found = [
        *ours("managed image", lambda azure: managed(azure.group), image, "packer, managed image"),
        *ours("gallery, Full", lambda azure: shared(azure.definition, "Full"), full, "packer, gallery"),
        *ours("gallery, Shallow", lambda azure: shared(azure.definition, "Shallow"), SHALLOW),
        Work(
            "managed image again, nothing changed",
            lambda azure: imagewright(azure, managed(azure.group)),
            rival="packer, managed image",
            again=True,
        ),
    ]
    if with_packer:
        found += [
            Work("packer, managed image", lambda azure: packer(azure, gallery=False)),
            Work("packer, gallery", lambda azure: packer(azure, gallery=True)),
        ]
    return found


@dataclass(frozen=True)
class Measured:
    work: Work
    seconds: float
    calls: int


def measure(work: Work, speed: float, folder: Path, begin: float) -> Measured:
    """`begin`: how many seconds from now."""
    with Azure(speed, folder / work.name.replace(" ", "-")) as azure:
        time.sleep(begin)
        if work.again:
            work.do(azure)
        before, from_ = azure.asked(), time.monotonic()
        work.do(azure)
        seconds = (time.monotonic() - from_) * speed
        found = Measured(work, seconds, azure.asked() - before)
    say(f"{found.seconds:8.1f} s  {found.calls:3d} calls  {work.name}")
    return found


def many(speed: float, folder: Path, count: int, alone: int, quiet: threading.Event) -> dict[str, float]:
    """One alone is measured beside the builds of `measure`, all at once when they are over."""
    with Azure(max(100.0, speed), folder / "warm") as warm, Azure(speed, folder / "many", *CORES) as azure:
        command = [sys.executable, str(ROOT / "bench" / "azure_many.py"), str(count), str(alone)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdin is not None
            assert running.stdout is not None
            running.stdin.write(f"{json.dumps(warm.place)}\n{json.dumps(azure.place)}\n")
            running.stdin.flush()
            one = json.loads(running.stdout.readline() or "null")
            quiet.wait()
            out, _ = running.communicate("go\n")
    if running.returncode != 0 or one is None:
        sys.exit(f"the builds at once failed: {one} {out}")
    found: dict[str, float] = one | json.loads(out)
    say(f"{count} at once: {json.dumps(found)}")
    return found


# --- what is said of it ---


def goals(measured: list[Measured], at_once: dict[str, float], count: int) -> list[tuple[str, str, str, bool]]:
    """(what, found, goal, whether it is met)."""
    seconds = {each.work.name: each.seconds for each in measured}
    found = []
    for each in measured:
        work = each.work
        if work.chain:
            ratio = each.seconds / work.chain
            found.append((f"{work.name}: of the longest chain", f"{ratio:.2f}", f"≤ {LONGEST}", ratio <= LONGEST))
            found.append((f"{work.name}: ARM calls", str(each.calls), f"< {CALLS}", each.calls < CALLS))
        if work.rival in seconds:
            ratio = each.seconds / seconds[work.rival]
            found.append((f"{work.name}: of packer's time", f"{ratio:.2f}", f"≤ {OF_PACKER}", ratio <= OF_PACKER))
    if at_once:
        ratio, mib = at_once["slowest"] / at_once["alone"], at_once["mib_each"]
        found.append(
            (f"the slowest of {count} at once: of one alone", f"{ratio:.2f}", f"≤ {SLOWER}", ratio <= SLOWER)
        )
        found.append((f"MiB for each of {count} at once", f"{mib:.1f}", f"< {MIB:g}", mib < MIB))
    return found


def report(measured: list[Measured], at_once: dict[str, float], count: int, alone: int) -> str:
    seconds = {each.work.name: each.seconds for each in measured}
    gone = lasts(GONE)
    lines = [
        "# Benchmarks: Azure",
        "",
        "Made by `bench/azure` in one run, **on the simulator, not in Azure**: command lines as processes, each with",
        "a simulated Azure (`tests/simulated/armsim`) in a process of its own; the same source, size",
        "(Standard_D2s_v5), generation (V1) and script for both tools, packer 1.6.6 with its defaults. Ours is",
        "measured with its defaults (the captured disk is kept as a snapshot) and with `--no-cache`, which keeps",
        "what packer keeps. Times are from the start of the process to its end.",
        "",
        f"Run of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} at its end.",
        "",
        "| what | found | goal | met |",
        "| --- | --- | --- | --- |",
        *(f"| {what} | {value} | {goal} | {'yes' if met else '**no**'} |" for what, value, goal, met in
          goals(measured, at_once, count)),
        "",
        "| build | seconds | longest chain | ARM calls | of packer's | the same without the group's deletion |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for each in measured:
        rival = seconds.get(each.work.rival)
        ratios = ("", "")
        if rival:
            ours = each.seconds - gone if "--no-cache" in each.work.name else each.seconds
            ratios = (f"{each.seconds / rival:.2f}", f"{ours / (rival - gone):.2f}")
        chain = f"{each.work.chain:.0f}" if each.work.chain else ""
        lines.append(
            f"| {each.work.name} | {each.seconds:.1f} | {chain} | {each.calls} | {ratios[0]} | {ratios[1]} |"
        )
    lines += ["", *floor(measured), "", *asked()]
    if at_once:
        lines += [
            "",
            f"{count} builds of a managed image (`--no-cache`) in one process: one alone took",
            f"{at_once['alone']:.1f} s (the median of {alone}, measured beside the builds above), all at once",
            f"{at_once['median']:.1f} s in the median and {at_once['slowest']:.1f} s at most. Memory is the highest",
            "proportional set size of the process, less what it had before, by the number of builds.",
        ]
    return "\n".join((*lines, "", *durations())) + "\n"


def floor(measured: list[Measured]) -> list[str]:
    """What of packer's time nobody could save."""
    seconds = {each.work.name: each.seconds for each in measured}
    found = []
    for each in measured:
        if each.work.chain and each.work.rival in seconds:
            least = each.work.chain / seconds[each.work.rival]
            found.append(f"{each.work.name} {least:.2f}")
    if not found:
        return []
    version = lasts(VERSION)
    return [
        f"No tool that does the same can be below the longest chain. As a share of packer's: {'; '.join(found)}.",
        f"The creation of a fully replicated version alone takes {version:.0f} s of packer's",
        f"{seconds.get('packer, gallery', 0):.0f} s. The last column leaves out the deletion of the group",
        f"({lasts(GONE):.0f} s, assumed) where its end is waited for: by packer, and by us with `--no-cache`.",
    ]


def asked() -> list[str]:
    """What of the time over the chain Azure itself asks for."""

    def seen(kind: type[Kind], step: str) -> str:
        first, again = kind.retry["create"]
        seconds = lasts(step)
        return f"{first + again * math.ceil((seconds - first) / again):g} s ({seconds:g} s)"

    return [
        "Part of what is over the chain is asked for: an answer with Retry-After says when to look again. Who",
        f"obeys sees the end of the VM's creation after {seen(Machines, 'compute/virtualmachines create')},",
        f"that of its network after {seen(VirtualNetworks, 'network/virtualnetworks create')}, and that of a fully",
        f"replicated version after {seen(Versions, VERSION)}.",
    ]


def durations() -> list[str]:
    """How long the simulator's operations last, and who says so."""
    lines = [
        "How long operations last on the simulator, and where that is from:",
        "",
        "| seconds | operation | from |",
    ]
    lines.append("| --- | --- | --- |")
    used = (*CAPTURED, "networksecuritygroups create", "publicipaddresses create", IMAGE, VERSION, GONE)
    for (kind, verb), row in DURATIONS.items():
        if any(f"{kind} {verb}".endswith(step) for step in used):
            lines.append(f"| {row.seconds:g} | {kind} {verb} | {row.source} |")
    lines.append(f"| {SHALLOW:g} | images/versions create, Shallow | {Source.ASSUMED} |")
    return lines


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--speed", type=float, default=1.0)
    given.add_argument("--no-packer", action="store_true")
    given.add_argument("--many", type=int, default=50)
    given.add_argument("--alone", type=int, default=3)
    options = given.parse_args()
    if not options.no_packer and shutil.which("packer") is None:
        sys.exit("packer is not installed: apt-get install packer, or --no-packer")
    chosen = works(with_packer=not options.no_packer)
    quiet = threading.Event()
    with (
        tempfile.TemporaryDirectory(prefix="imagewright-bench-") as name,
        ThreadPoolExecutor(len(chosen) + 1) as pool,
    ):
        folder, speed = Path(name), options.speed
        later = pool.submit(many, speed, folder, options.many, options.alone, quiet) if options.many else None
        try:
            last_first = {work.name: APART * number for number, work in enumerate(reversed(chosen))}
            measured = list(pool.map(lambda work: measure(work, speed, folder, last_first[work.name]), chosen))
        finally:
            quiet.set()
        at_once = later.result() if later else {}
    for what, value, goal, met in goals(measured, at_once, options.many):
        say(f"{'met    ' if met else 'NOT MET'}  {what}: {value} (goal {goal})")
    page = report(measured, at_once, options.many, options.alone)
    if speed != 1 or options.no_packer or not at_once:
        say(page)
        return
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
    say(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
