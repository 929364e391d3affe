"""The sample of the README, from its template to a disk that a stranger boots and looks into."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from booted import Booted

from imagewright.disks import vhd

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(2400)]


def test_the_sample_becomes_an_image_without_a_trace_of_its_build(
    imagewright: Callable, boot: Callable[..., Booted], tmp_path: Path, unique: str
) -> None:
    sample = tmp_path / "sample"
    shutil.copytree(ROOT / "samples" / "web-server", sample)
    page = sample / "site" / "index.html"

    first = imagewright("build", sample / "template.json")
    assert first.code == 0, first.err
    disk = Path(first.last_line)
    assert disk == Path(first.result["runOutputs"][0]["artifactUri"])
    assert vhd.check(disk) == []
    assert first.result["state"] == "Succeeded"

    # One line of the last customizer changes: only it runs again.
    page.write_text(page.read_text().replace("It works", unique))
    second = imagewright("build", sample / "template.json")
    assert second.code == 0, second.err
    assert second.cached == [True, False, False]

    # Nothing changes: the same disk comes out, bit for bit, without a machine.
    before = disk.stat().st_mtime_ns, _digest(disk)
    third = imagewright("build", sample / "template.json")
    assert third.cached == [True, True, True]
    assert "booting" not in third.err.replace("booting the captured disk", "")
    assert (disk.stat().st_mtime_ns != before[0], _digest(disk)) == (True, before[1])

    machine = boot(disk)
    assert unique in machine.ask("curl -sf http://127.0.0.1/")
    assert machine.ask("hostname") == "stranger"
    assert machine.ask("getent passwd imagewright || echo none") == "none"
    assert machine.ask("ls /home") == "stranger"
    assert machine.ask("grep -rl imagewright /etc /root /home /var/lib/cloud 2>/dev/null || echo none") == "none"
    assert machine.ask("ls /etc/ssh/ssh_host_*_key | wc -l") != "0"
    assert machine.ask("find /root /home -name '.*history'") == ""
    assert "index.html" not in machine.ask("ls -A /tmp /var/tmp")
    assert machine.ask("ls /usr/sbin/policy-rc.d /sbin/start-stop-daemon.REAL 2>/dev/null || true") == ""
    assert "iw-" not in machine.ask("ls /var/lib/cloud/instances")
    assert machine.ask("cat /var/log/wtmp | strings | grep -c imagewright || true") in ("0", "")
    assert len(machine.ask("journalctl --list-boots --no-pager | grep -c -- ' 0 '")) == 1
    assert len(machine.ask("cat /etc/machine-id")) == 32
    assert machine.ask("ls /var/log/journal") == machine.ask("cat /etc/machine-id")


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_the_sample_is_valid(imagewright: Callable) -> None:
    said = imagewright("validate", ROOT / "samples" / "web-server" / "template.json", "--format", "json")
    report = json.loads(said.out)
    assert [one["valid"] for one in report] == [True]
    assert {found["severity"] for found in report[0]["diagnostics"]} <= {"warning"}
