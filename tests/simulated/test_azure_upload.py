"""A disk that was built here goes to Azure's targets: direct upload, only what is allocated is sent."""

from __future__ import annotations

import tarfile
from pathlib import Path

from azure_world import AzureWorld

from imagewright.core.clock import SystemClock
from imagewright.core.disk import Disk
from imagewright.core.events import Progress
from imagewright.core.plan import ExactSource, Generation, OsType
from imagewright.engine.ledger import Ledger
from imagewright.engine.scope import Scope

MIB = 1 << 20


def _raw(folder: Path) -> Path:
    """64 MiB, sparse: a tar archive at its beginning, and some bytes far away."""
    inside = folder / "made"
    inside.write_bytes(b"here\n")
    raw = folder / "disk.raw"
    with tarfile.open(raw, "w") as archive:
        archive.add(inside, "opt/made")
    with raw.open("r+b") as file:
        file.truncate(64 * MIB)
        file.seek(50 * MIB)
        file.write(b"x" * 5000)
    return raw


def test_a_local_disk_is_published_with_no_build_vm(world: AzureWorld, tmp_path: Path) -> None:
    disk = Disk(str(_raw(tmp_path)), "raw", 64 * MIB, OsType.LINUX, Generation.V2)
    plan = world.plan("true", targets=(world.shared(), world.managed(), world.vhd()))
    source = ExactSource(plan.source, "1.0.0", "local", OsType.LINUX, Generation.V2, "x64", "", 64 * MIB)
    settings = world.settings()
    platform = world.platform(settings)
    ledger = Ledger(settings.work / "ledger.jsonl")
    with Scope(ledger, platform.delete, world.events.append, SystemClock()) as scope:
        outputs = [platform.publish(disk, target, source, plan, scope, world.deadline()) for target in plan.targets]
    assert ledger.pending() == ()
    ledger.close()
    kept = {output.artifact_id or output.artifact_uri for output in outputs}
    assert {each for each in world.left() if "storageAccounts" not in each} == kept
    assert world.simulator.content(outputs[0].artifact_id).image is not None
    image = world.simulator.content(outputs[1].artifact_id).image
    assert image is not None
    data = image.read_bytes()
    assert (len(data), data[50 * MIB : 50 * MIB + 5000]) == (64 * MIB + 512, b"x" * 5000)
    assert data[-512:-504] == b"conectix"
    (total,) = {event.total for event in world.events if isinstance(event, Progress) and event.label == "upload"}
    assert total < 10 * MIB
    assert (
        sum("upload" in (request.path.lower()) and request.method == "PUT" for request in world.simulator.requests)
        == 1
    )
