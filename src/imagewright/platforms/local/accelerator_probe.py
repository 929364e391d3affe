"""The boot sector that asks an accelerator to do what 64-bit kernels do first. Its source: accelerator_probe.S."""

from __future__ import annotations

import base64
import os
import subprocess

from imagewright.disks.tools import which

TOKEN = b"IMAGEWRIGHT-64"
PASSED = 85
SECONDS = 3.0
_CODE = base64.b64decode(
    "6gV8AAD6/DHAjtiOwI7QvAB8vwAQuQAw86vHBgAQByDHBgAgBzDHBgAwhwAPARagfQ8g4GaDyCAPIuBmuAAQAAAPIthmuYAAAMAP"
    "Mg0BAQ8wDyDAZg0BAAGADyLA6mJ8CAC4EAAAAI7YjsCO0LwAfAAAuABgAADHQAQAcAAAuCgAAAAPANi/MEAAALg/fQAA6MEAAAC/"
    "4EAAALhDfQAA6LIAAAAPARwlpn0AADHbzL4AAABAD7eG/n0AAD1VqgAAdXYPINgPItgPAT65AgEAwLh4VjQSMdIPMA8B+P/JMcAP"
    "Mj14VjQSdU8PAfiD+wJ1RzHAD6Ix27mBAADAMcC6CAAQAA8w/8Ex0rghfQAADzC5Hn0AAEG7AgAAAEgPB8wPBf/LdRO+sH0AAGa6"
    "+AOs7jwKdfqwKusCsAHm9PTr/f/DSM/HBCUIIAAABzAAAP/DSIPECEjPZokHZsdHAggAZsdHBADuw2aQAAAAAAAAAAD//wAAAJuv"
    "AP//AAAAk88A//8AAADzzwD//wAAAPuvAGcAAGAAiQAAAAAAAAAAAAA3AGh9AAD/DwBAAAAAAAAASU1BR0VXUklHSFQtNjQK"
)
_ATTACHED = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", 'ulimit -c 0; exec "$@"', "sh")
"""Runs a QEMU that leaves no core where it aborts, and that ends when this process is killed."""

BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"


def probe(qemu: str, accelerator: str, cpu: str, seconds: float = SECONDS) -> str:
    """Run the boot sector under `accelerator` with `cpu`. Returns what went wrong, or `""` if nothing did."""
    if which(qemu) is None:
        return f"{qemu} did not start: it is not there"
    with os.fdopen(os.memfd_create("imagewright-probe"), "wb") as disk:
        disk.write(BOOT_SECTOR.ljust(1 << 20, b"\0"))
        disk.flush()
        argv = [
            *_ATTACHED,
            *(
                qemu,
                "-nodefaults",
                "-no-user-config",
                "-machine",
                "pc",
                "-accel",
                accelerator,
                "-cpu",
                cpu,
                "-m",
                "16",
            ),
            *("-display", "none", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
            *("-drive", f"file=/proc/self/fd/{disk.fileno()},format=raw,if=ide"),
        ]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
                pass_fds=(disk.fileno(),),
            )
        except subprocess.TimeoutExpired:
            return f"a 64-bit guest hung for {seconds:g} s"
        except OSError as error:
            return f"{qemu} did not start: {error.strerror}"
    if done.returncode == PASSED and TOKEN in done.stdout:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return f"QEMU ended with {how}" + (f": {said[0]}" if said else "")
