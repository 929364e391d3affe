"""`VHD`: a page blob at the template's `uri`, or in an account of its resource group that outlives the build."""

from __future__ import annotations

import re
import urllib.parse
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
from imagewright.platforms.azure import access, errors
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.polling import doze, quick_then_slow
from imagewright.platforms.azure.snapshots import Snapshots
from imagewright.platforms.azure.storage import Storage

BLOB = "blob"
CONTAINER = "vhds"


def publish(
    disk: Disk, target: VhdTarget, plan: Plan, arm: Arm, storage: Storage, snapshots: Snapshots,
    owner: Owner, emit: Emit, clock: Clock, deadline: Deadline,
) -> RunOutput:  # fmt: skip
    url = target.uri or _own(target, plan, arm, storage, clock, deadline)
    disk = snapshots.managed(disk, owner, deadline)
    owned = owner.own(Owned("azure", BLOB, url, arm.subscription))
    emit(Note(f"copying the disk to {shown(url)}"))
    with access.granted(arm, disk.location, owner, deadline) as source:
        copy(arm, source, url, target.tags, emit, deadline)
    owner.release(owned)
    return RunOutput(target.run_output_name, artifact_uri=shown(url))


def copy(
    arm: Arm, source: Secret, url: str, tags: tuple[tuple[str, str], ...], emit: Emit, deadline: Deadline
) -> None:
    """Azure copies from one to the other; nothing of it passes through this machine."""
    client = _client(arm, url)
    metadata = {re.sub(r"\W", "_", name, flags=re.ASCII): text for name, text in tags}
    _call("beginning the copy", lambda: client.start_copy_from_url(source.reveal(), metadata=metadata))
    for seconds in quick_then_slow(0.5):
        properties = _call("looking after the copy", client.get_blob_properties)
        done, _, total = str(properties.copy.progress or "0/0").partition("/")
        emit(Progress(f"copying {url.rsplit('/', 1)[-1]}", int(done or 0), int(total or 0)))
        if properties.copy.status == "success":
            return
        if properties.copy.status != "pending":
            why = f"{properties.copy.status} {properties.copy.status_description or ''}"
            raise DistributionError(
                f"the copy to {shown(url)} ended: {why}",
                hint="build again: the captured disk is kept, so only the copy is done again",
            )
        doze(seconds, deadline)


def delete(arm: Arm, url: str) -> None:
    """A blob that is still being copied to cannot be deleted: the copy is given up first."""
    client = _client(arm, url)
    try:
        copy_ = _call("looking after a copy", client.get_blob_properties).copy
        if copy_.status == "pending":
            _call("giving up a copy", lambda: client.abort_copy(copy_.id))
        _call("deleting a blob that was not finished", client.delete_blob)
    except PlatformError as error:
        if not errors.is_gone(error):
            raise


def shown(url: str) -> str:
    """The URL without what it may be signed with."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _own(target: VhdTarget, plan: Plan, arm: Arm, storage: Storage, clock: Clock, deadline: Deadline) -> str:
    group = plan.azure.resource_group
    if not group:
        raise DistributionError(
            "there is no place for the VHD: the template names no `uri`, and no resource group is known",
            hint="give `uri` in the template, or --resource-group",
        )
    place = Place(arm.subscription, group, plan.machine.location, (("createdBy", "Imagewright"),), ours=False)
    container = storage.lasting(place, CONTAINER, deadline)
    return f"{container}/{plan.name}_{target.run_output_name}_{clock.now():%Y%m%d%H%M%S}.vhd"


def _client(arm: Arm, url: str) -> Any:
    return arm.clients.blob(url, signed="sig=" in url)


def _call(doing: str, call: Callable[[], Any]) -> Any:
    from azure.core.exceptions import AzureError

    try:
        return call()
    except AzureError as error:
        raise errors.translate(error, doing) from error
