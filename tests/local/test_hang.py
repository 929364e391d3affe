"""A real QEMU whose guest is busy with itself from its first instruction on."""

from __future__ import annotations

from pathlib import Path

import pytest
from owner import Owner
from small_plan import small_plan

from imagewright.core.choices import Accelerator
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.events import Event, Note
from imagewright.core.plan import DiskFile, ExactSource, Generation, OsType
from imagewright.platforms import Settings
from imagewright.platforms.local import hang, process
from imagewright.platforms.local.boot import BOOTS
from imagewright.platforms.local.platform import LocalPlatform

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

FOR_EVER = b"\xfa\xeb\xfe"
"""cli; here: jmp here"""


def test_a_guest_that_hangs_is_booted_anew_and_then_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(hang, "SILENT_SECONDS", 3.0)
    disk = tmp_path / "disk.raw"
    disk.write_bytes(FOR_EVER.ljust(510, b"\0") + b"\x55\xaa" + bytes((1 << 20) - 512))
    events: list[Event] = []
    clock, owner = SystemClock(), Owner()
    settings = Settings(
        home=tmp_path / "home", work=tmp_path / "work", memory_mib=128, cpus=2, accelerator=Accelerator.TCG
    )
    platform = LocalPlatform(settings, events.append, clock)
    source = ExactSource(
        DiskFile(str(disk)), "", "disk", OsType.LINUX, Generation.V1, "x64", str(disk), disk.stat().st_size
    )
    deadline = Deadline.after(clock, 500, "the test")
    with pytest.raises(hang.HungError, match="the guest hangs"):
        platform.boot(source, small_plan(), owner, deadline)
    notes = [event for event in events if isinstance(event, Note)]
    assert [note.hint for note in notes if "the guest hangs" in note.message] == [
        "it is booted once more, from a fresh disk"
    ] * (BOOTS - 1)
    running = [owned for owned in owner.owned if owned.kind == process.KIND]
    assert (len(running), [found for each in running for found in process._pids(each.id)]) == (BOOTS, [])
    for owned in reversed(owner.owned):
        platform.delete(owned, deadline)
    assert list((tmp_path / "work").iterdir()) == []
