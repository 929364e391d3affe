"""A disk file of this machine to a managed disk, by direct upload: only the ranges that hold data are sent."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError
from imagewright.core.events import Emit, Note, Progress
from imagewright.core.ownership import Owned, Owner
from imagewright.core.secret import Secret
from imagewright.disks import carry, vhd
from imagewright.platforms.azure import access, errors
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.place import Place

AT_ONCE = 8


def upload(disk: Disk, arm: Arm, place: Place, work: Path, owner: Owner, emit: Emit, deadline: Deadline) -> Disk:
    """`disk` (and its data disks) as managed disks in `place`."""
    first = _one(disk, arm, place, work, owner, emit, deadline)
    others = tuple(_one(each, arm, place, work, owner, emit, deadline) for each in disk.data_disks)
    return replace(first, data_disks=others)


def _one(disk: Disk, arm: Arm, place: Place, work: Path, owner: Owner, emit: Emit, deadline: Deadline) -> Disk:
    made = disk.format != "vhd"
    file = work / f"upload-{fresh_name(6)}.vhd" if made else Path(disk.location)
    owned = Owned("local", "file", str(file))
    try:
        if made:
            owner.own(owned)
            vhd.export(
                Path(disk.location),
                disk.format,
                disk.virtual_size,
                file,
                identity=disk.identity or disk.location,
                partial=file,
                check=deadline.check,
            )
        elif problems := vhd.check(file):
            raise DistributionError(f"{file} cannot be uploaded: {'; '.join(problems)}")
        name = f"iw-{fresh_name(6)}-upload"
        managed = _empty(disk, file.stat().st_size, arm, place, name, deadline)
        with access.granted(arm, managed["id"], owner, deadline, write=True) as target:
            send(file, target, arm, emit, deadline)
    finally:
        if made:
            file.unlink(missing_ok=True)
            owner.release(owned)
    return replace(disk, location=str(managed["id"]), format="managed", data_disks=())


def send(file: Path, target: Secret, arm: Arm, emit: Emit, deadline: Deadline) -> None:
    """The pieces of `file` that hold data, several at once."""
    from azure.core.exceptions import AzureError

    pieces = list(carry.pieces(file))
    total, sent, lock = sum(length for _, length in pieces), 0, threading.Lock()
    emit(Note(f"sending {total >> 20} MiB of {file.stat().st_size >> 20} MiB"))
    client = arm.clients.blob(target.reveal(), signed=True)

    def put(piece: tuple[int, int]) -> None:
        nonlocal sent
        offset, length = piece
        deadline.check()
        client.upload_page(carry.read(file, offset, length), offset, length)
        with lock:
            sent += length
            emit(Progress("upload", sent, total))

    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")
    try:
        for _ in pool.map(put, pieces):
            pass
    except AzureError as error:
        raise errors.translate(error, "uploading the disk") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _empty(disk: Disk, size: int, arm: Arm, place: Place, name: str, deadline: Deadline) -> Json:
    properties: dict[str, object] = {
        "osType": disk.os_type.value,
        "hyperVGeneration": disk.generation.value,
        "creationData": {"createOption": "Upload", "uploadSizeBytes": size},
        "supportedCapabilities": {"architecture": "Arm64" if disk.architecture == "arm64" else "x64"},
    }
    body = place.body(properties, sku={"name": "Standard_LRS"})
    made: Json = arm.do(
        "creating a disk to upload to",
        deadline,
        lambda c, k: c.compute.disks.begin_create_or_update(place.group, name, body, **k),
    )
    return made
