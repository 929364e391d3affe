"""The measurements behind docs/benchmarks/local.md. Everything is timed from the start of a process to its end.

Ratios within one run are what counts: these machines are shared, and seconds are not comparable between runs.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "local.md"
IMAGEWRIGHT = ROOT / ".venv" / "bin" / "imagewright"
CPU = "max,la57=off,erms=off"
INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
sudo -E apt-get update -q
sudo -E apt-get install -y -q --no-install-recommends nginx-light"""
THEIRS, OURS = "export of 2 GiB by qemu-img (median)", "export of 2 GiB by imagewright (median)"
EXPORTS = 7
VPC = ("-f", "qcow2", "-O", "vpc", "-o", "subformat=fixed,force_size=on")
DEPROVISION = "waagent -force -deprovision+user && export HISTSIZE=0 && sync"


@dataclass
class Table:
    """What was measured: seconds by name, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    def measure(self, name: str, *command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        from_ = time.monotonic()
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        self.seconds[name] = time.monotonic() - from_
        if done.returncode != 0:
            sys.exit(f"{name} failed ({done.returncode}):\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        print(f"{self.seconds[name]:8.1f} s  {name}", flush=True)
        return done


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="imagewright-bench-", dir=os.environ.get("BENCH_DIR", "/var/tmp")))
    try:
        run(work)
    finally:
        shutil.rmtree(work)


def run(work: Path) -> None:
    table = Table()
    base = base_disk(work)
    ours(table, work)
    packer(table, work, base)
    virt_customize(table, work, base)
    export(table, work)
    small_commands(table, work)
    PAGE.write_text(report(table))
    print(PAGE.read_text())


def base_disk(work: Path) -> Path:
    """Debian 12 as `imagewright` bootstraps it, by a plan, which creates no machine; our builds find it there too."""
    template = write_template(work / "base.json", "true")
    done = subprocess.run(
        [IMAGEWRIGHT, "plan", template, "--home", work / "home"], capture_output=True, text=True, check=False
    )
    found = list((work / "home" / "sources").glob("*/*/disk.qcow2"))
    if not found:
        sys.exit(done.stderr)
    return found[0]


def write_template(path: Path, *scripts: str) -> Path:
    body = {
        "location": "westeurope",
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12",
                "version": "latest",
            },
            "customize": [
                {"type": "Shell", "name": f"Step{number}", "inline": script.splitlines()}
                for number, script in enumerate(scripts, start=1)
            ],
            "distribute": [{"type": "VHD", "runOutputName": path.stem}],
        },
    }
    path.write_text(json.dumps(body))
    return path


def ours(table: Table, work: Path) -> None:
    home = work / "home"

    def build(name: str, *scripts: str, template: str = "image") -> None:
        path = write_template(work / f"{template}.json", *scripts)
        places = ["--home", home, "--output", work / "out"]
        command = [IMAGEWRIGHT, "build", path, "--format", "jsonl", *places]
        from_ = time.monotonic()
        with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                if '"marker ' in line and '"output"' in line:
                    table.seconds[f"{name}: first output"] = time.monotonic() - from_
        if running.returncode != 0:
            sys.exit(f"{name} failed ({running.returncode})")
        table.seconds[name] = time.monotonic() - from_
        print(f"{table.seconds[name]:8.1f} s  {name}", flush=True)

    build("the very first build on a source", INSTALL, "echo marker one")
    build("a new template on a source that was booted before", f"{INSTALL}\necho other", "echo marker one")
    build("a rebuild after the last customizer changed", f"{INSTALL}\necho other", "echo marker two")
    build("nothing changed", f"{INSTALL}\necho other", "echo marker two")
    for meta in (home / "checkpoints").glob("*/meta.json"):
        if json.loads(meta.read_text())["kind"] == "disk":
            meta.unlink()
    build("nothing changed, no captured disk kept", f"{INSTALL}\necho other", "echo marker two")


def packer(table: Table, work: Path, base: Path) -> None:
    """Packer's qemu builder with the settings that work on such machines, and a VHD at the end as ours."""
    key = work / "packer-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    user = {
        "name": "packer",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/bash",
        "ssh_authorized_keys": [key.with_suffix(".pub").read_text().strip()],
    }
    (work / "user-data").write_text("#cloud-config\n" + json.dumps({"users": [user]}))
    (work / "meta-data").write_text(json.dumps({"instance-id": "packer-1"}))
    builder = {
        "type": "qemu",
        "disk_image": True,
        "iso_url": str(base),
        "iso_checksum": "none",
        "accelerator": "tcg",
        "cpus": 2,
        "memory": 2048,
        "qemuargs": [["-cpu", CPU]],
        "skip_resize_disk": True,
        "headless": True,
        "boot_wait": "1s",
        "cd_files": [str(work / "user-data"), str(work / "meta-data")],
        "cd_label": "cidata",
        "ssh_username": "packer",
        "ssh_private_key_file": str(key),
        "ssh_timeout": "20m",
        "shutdown_command": "sudo systemctl poweroff",
        "output_directory": str(work / "packer-out"),
        "vm_name": "disk.qcow2",
        "format": "qcow2",
    }
    provisioners = [
        {"type": "shell", "inline": INSTALL.splitlines()},
        {"type": "shell", "inline": ["echo marker two"]},
        {"type": "shell", "inline": [f"sudo sh -c '{DEPROVISION}'"]},
    ]
    template = work / "packer.json"
    template.write_text(json.dumps({"builders": [builder], "provisioners": provisioners}))
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "PACKER_CACHE_DIR": str(work / "packer-cache")}
    convert = f"qemu-img convert -f qcow2 -O vpc -o subformat=fixed,force_size=on {work}/packer-out/disk.qcow2"
    command = f"packer build -color=false {template} && {convert} {work}/packer.vhd"
    table.measure("packer", "sh", "-ec", command, env=environment)


def virt_customize(table: Table, work: Path, base: Path) -> None:
    environment = {**os.environ, "LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}
    script = work / "install.sh"
    script.write_text("#!/bin/sh -e\n" + INSTALL.replace("sudo -E ", "") + "\n")
    command = (
        f"qemu-img create -q -f qcow2 -F qcow2 -b {base} {work}/virt.qcow2 && "
        f"virt-customize -q --smp 2 -m 2048 -a {work}/virt.qcow2 --run {script} --run-command 'echo marker two' && "
        f"qemu-img convert -f qcow2 -O vpc -o subformat=fixed,force_size=on {work}/virt.qcow2 {work}/virt.vhd"
    )
    table.measure("virt-customize", "sh", "-ec", command, env=environment)


def export(table: Table, work: Path) -> None:
    """A disk of 2 GiB of data to a fresh VHD, in turn by qemu-img alone and by ours, from process start to end."""
    raw = work / "data.raw"
    with raw.open("wb") as file:
        for _ in range(2048):
            file.write(os.urandom(1 << 20))
        file.truncate(8 << 30)
    disk = work / "data.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    raw.unlink()
    theirs, ours = work / "theirs.vhd", work / "ours.vhd"
    program = (
        "from pathlib import Path; from imagewright.disks import vhd; import sys; "
        "vhd.export(Path(sys.argv[1]), 'qcow2', 8 << 30, Path(sys.argv[2]), identity='bench')"
    )
    rounds: dict[str, list[float]] = {THEIRS: [], OURS: []}
    for number in range(EXPORTS + 1):
        for name, command in (
            (
                THEIRS,
                ("qemu-img", "convert", *VPC, disk, theirs),
            ),
            (OURS, (sys.executable, "-c", program, disk, ours)),
        ):
            table.measure(name, *command)
            for written in (theirs, ours):
                written.unlink(missing_ok=True)
            os.sync()
            if number:  # the first round warms the caches
                rounds[name].append(table.seconds[name])
    table.seconds |= {name: statistics.median(seconds) for name, seconds in rounds.items()}


def small_commands(table: Table, work: Path) -> None:
    templates = [write_template(work / f"t{number}.json", INSTALL, f"echo {number}") for number in range(100)]
    table.measure("imagewright --help", IMAGEWRIGHT, "--help")
    table.measure("imagewright --help (again)", IMAGEWRIGHT, "--help")
    table.measure("imagewright validate of 100 templates", IMAGEWRIGHT, "validate", *templates)


NEW = "a new template on a source that was booted before"
CHANGED = "a rebuild after the last customizer changed"
FIRST = "the very first build on a source"
GOALS = (
    # what, seconds of, divided by seconds of, bound, whether at least that is wanted (or at most)
    ("packer / rebuild after the last customizer changed", "packer", CHANGED, 10.0, True),
    ("new template on a booted source / packer", NEW, "packer", 0.6, False),
    ("new template on a booted source / virt-customize", NEW, "virt-customize", 1.0, False),
    ("very first build on a source / packer", FIRST, "packer", 1.0, False),
    ("speed of the VHD export / qemu-img's", THEIRS, OURS, 0.9, True),
)

LIMITS = (
    ("first output of the changed step", "a rebuild after the last customizer changed: first output", 5.0),
    ("nothing changed, captured disk kept", "nothing changed", 15.0),
    ("nothing changed, from the checkpoint", "nothing changed, no captured disk kept", 15.0),
    ("`imagewright validate` of 100 templates", "imagewright validate of 100 templates", 2.0),
    ("`imagewright --help`", "imagewright --help (again)", 0.2),
)


def report(table: Table) -> str:
    seconds = table.seconds
    load = os.getloadavg()
    lines = [
        "# Benchmarks",
        "",
        "Made by `bench/local` in one run: same base disk (Debian 12), same scripts (`apt-get update`, nginx-light,",
        "one `echo`), same accelerator (QEMU's software emulation), 2 CPUs, 2 GiB and BIOS for each guest, a VHD",
        "at the end. packer also runs the Azure agent's deprovisioning, as ours does, virt-customize not. Ratios",
        "count; the seconds are those of a shared machine.",
        "",
        f"Run of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {load[0]:.1f} at its end.",
        "",
        "| what | ratio | goal | met |",
        "| --- | --- | --- | --- |",
    ]
    for what, upper, lower, bound, at_least in GOALS:
        ratio = seconds[upper] / seconds[lower]
        met = ratio >= bound if at_least else ratio <= bound
        goal = f"{'≥' if at_least else '≤'} {bound:g}"
        lines.append(f"| {what} | {ratio:.2f} | {goal} | {'yes' if met else 'no'} |")
    lines += ["", "| what | seconds | goal | met |", "| --- | --- | --- | --- |"]
    for what, name, bound in LIMITS:
        if name in seconds:
            met = "yes" if seconds[name] <= bound else "no"
            lines.append(f"| {what} | {seconds[name]:.2f} | ≤ {bound:g} | {met} |")
    lines += ["", "All that was measured:", "", "| seconds | what |", "| --- | --- |"]
    lines += [f"| {value:.1f} | {name} |" for name, value in seconds.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
