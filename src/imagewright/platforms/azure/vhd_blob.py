"""`VHD`: a page blob at the template's `uri`, or in an account of its resource group that outlives the build."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from imagewright.core.clock import Clock, Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import DistributionError, PlatformError
from imagewright.core.events import Emit, Note, Progress
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import Plan, VhdTarget
from imagewright.core.result import RunOutput
from imagewright.core.secret import Secret
from imagewright.platforms.azure import errors
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.polling import quick_then_slow
from imagewright.platforms.azure.snapshots import Snapshots
from imagewright.platforms.azure.storage import Storage

BLOB = "blob"
MADE_BY = "imagewright_made_by"
CONTAINER = "vhds"


def publish(
    disk: Disk, target: VhdTarget, plan: Plan, build: str, arm: Arm, storage: Storage, snapshots: Snapshots,
    owner: Owner, emit: Emit, clock: Clock, deadline: Deadline,
) -> RunOutput:  # fmt: skip
    url = (
        storage.unsigned(target.uri)
        if target.uri
        else _own(target, plan, build, arm, storage, owner, emit, clock, deadline)
    )
    disk = snapshots.managed(disk, owner, deadline)
    blob = storage.blob(url)
    ours = not _call("looking up the blob", blob.exists)
    owned = owner.own(Owned("azure", BLOB, url, build)) if ours else None
    emit(Note(f"copying the disk to {url}"))
    with snapshots.readable(disk.location, owner, deadline) as source:
        _begin(blob, source, url, _metadata(target.tags, build), fresh=ours)
        _follow(blob, url, emit, deadline)
    if owned is not None:
        owner.release(owned)
    if not target.uri:
        storage.settle(owner, deadline)
    return RunOutput(target.run_output_name, artifact_uri=url)


def _metadata(tags: tuple[tuple[str, str], ...], build: str) -> dict[str, str]:
    return {re.sub(r"\W", "_", name, flags=re.ASCII): text for name, text in tags} | {MADE_BY: build}


def _begin(blob: Any, source: Secret, url: str, metadata: dict[str, str], *, fresh: bool) -> None:
    """Azure copies from one to the other; nothing of it passes through this machine. `fresh`: only where there is
    nothing yet, so that of two builds one is refused."""
    from azure.core import MatchConditions

    where = {"match_condition": MatchConditions.IfMissing} if fresh else {}
    try:
        _call(
            "beginning the copy",
            lambda: blob.start_copy_from_url(source.reveal(), metadata=metadata, **where),
        )
    except PlatformError as error:
        if not errors.is_taken(error) or _maker(blob) != metadata[MADE_BY]:
            raise DistributionError(
                f"the copy to {url} could not begin: {error}", hint=error.hint or "does another build write to it?"
            ) from error


def _follow(blob: Any, url: str, emit: Emit, deadline: Deadline) -> None:
    for seconds in quick_then_slow(0.5):
        properties = _call("looking after the copy", blob.get_blob_properties)
        done, _, total = str(properties.copy.progress or "0/0").partition("/")
        emit(Progress(f"copying {url.rsplit('/', 1)[-1]}", int(done or 0), int(total or 0)))
        if properties.copy.status == "success":
            return
        if properties.copy.status != "pending":
            why = f"{properties.copy.status} {properties.copy.status_description or ''}"
            raise DistributionError(
                f"the copy to {url} ended: {why}",
                hint="build again: the captured disk is kept, so only the copy is done again",
            )
        deadline.wait(seconds)


def delete(storage: Storage, owned: Owned) -> None:
    """The blob goes if it is the build's own. One that is still being copied to cannot be deleted: the copy is given
    up first."""
    blob = storage.blob(owned.id)
    try:
        if _maker(blob) != owned.detail:
            return
        copy_ = _call("looking after a copy", blob.get_blob_properties).copy
        if copy_.status == "pending":
            _call("giving up a copy", lambda: blob.abort_copy(copy_.id))
        _call("deleting a blob that was not finished", blob.delete_blob)
    except PlatformError as error:
        if not errors.is_gone(error):
            raise


def _maker(blob: Any) -> str:
    found = _call("looking up the blob", blob.get_blob_properties)
    return str((found.metadata or {}).get(MADE_BY, ""))


def _own(
    target: VhdTarget, plan: Plan, build: str, arm: Arm, storage: Storage, owner: Owner, emit: Emit, clock: Clock,
    deadline: Deadline,
) -> str:  # fmt: skip
    group = plan.azure.resource_group
    if not group:
        raise DistributionError(
            "there is no place for the VHD: the template names no `uri`, and no resource group is known",
            hint="give `uri` in the template, or --resource-group",
        )
    tags = dict(plan.azure.managed_resource_tags) | {"createdBy": "Imagewright"}
    place = Place(arm.subscription, group, plan.machine.location, tuple(tags.items()), ours=False)
    container = storage.lasting(place, CONTAINER, build, owner, emit, deadline)
    return f"{container}/{plan.name}_{target.run_output_name}_{clock.now():%Y%m%d%H%M%S}.vhd"


def _call(doing: str, call: Callable[[], Any]) -> Any:
    from azure.core.exceptions import AzureError

    try:
        return call()
    except AzureError as error:
        raise errors.translate(error, doing) from error
