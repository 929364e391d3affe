"""Distribution on this machine: the three kinds of target, each as a place under our own roof."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

from imagewright.core.address import shown
from imagewright.core.clock import Clock, Deadline
from imagewright.core.digest import digest
from imagewright.core.disk import Disk
from imagewright.core.errors import Diagnostic, DistributionError, PlatformError, Severity
from imagewright.core.events import Emit, Progress
from imagewright.core.files import partial_of, write_whole
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import ExactSource, ManagedImageTarget, Plan, SharedImageTarget, Target, VhdTarget
from imagewright.core.ports import SOURCE_TAG
from imagewright.core.result import RunOutput
from imagewright.disks import convert, vhd
from imagewright.distributors import versioning
from imagewright.distributors.versioning import Version
from imagewright.platforms.local.flat import FILE, FlatDisks
from imagewright.platforms.local.image_store import Facts, ImageStore, disk_names
from imagewright.staging.fetch import local_path


class LocalTargets:
    """The targets of one build. Images go to the store under `home`, VHDs to `output`; `work` is the build's own."""

    def __init__(self, home: Path, output: Path, work: Path, emit: Emit, clock: Clock) -> None:
        self._store = ImageStore(home / "images")
        self._output = output
        self._flat = FlatDisks(work)
        self._emit = emit
        self._clock = clock

    def publish(self, disk: Disk, target: Target, source: ExactSource, owner: Owner, deadline: Deadline) -> RunOutput:
        """Write `disk` to `target` and say where it is.

        What is not whole yet is owned. The deadline is checked often, and once more before the new one takes its
        place. Safe to be called for several targets at once. Raises DistributionError; a version is never
        overwritten.
        """
        try:
            match target:
                case VhdTarget():
                    return self._vhd(disk, target, owner, deadline)
                case ManagedImageTarget():
                    return self._managed(disk, target, source, owner, deadline)
                case SharedImageTarget():
                    return self._shared(disk, target, source, owner, deadline)
                case _:
                    assert_never(target)
        except PlatformError as error:
            raise DistributionError(f"{target.run_output_name}: {error.message}", hint=error.hint) from error
        except OSError as error:
            raise DistributionError(f"{target.run_output_name} could not be written: {error.strerror}") from error

    def built_from(self, target: Target) -> str | None:
        """The `SOURCE_TAG` of the newest image at `target`, `""` where there is none; a VHD has no memory."""
        match target:
            case ManagedImageTarget():
                image = self._store.managed(target.image_id)
            case SharedImageTarget():
                image = next(reversed(self._store.versions(target.gallery_image_id)), None)
            case VhdTarget():
                return None
            case _:
                assert_never(target)
        return dict(image.facts.tags).get(SOURCE_TAG, "") if image else ""

    def _vhd(self, disk: Disk, target: VhdTarget, owner: Owner, deadline: Deadline) -> RunOutput:
        path = _place(target, self._output).absolute()
        for number, one in enumerate((disk, *disk.data_disks)):
            part = path if number == 0 else _data_disk(path, number)
            partial = partial_of(part)
            owned = owner.own(Owned("local", FILE, str(partial)))
            vhd.export(
                Path(one.location),
                one.format,
                one.virtual_size,
                part,
                identity=f"{disk.identity or disk.location}.{number}",
                partial=partial,
                progress=self._progress(part.name),
                check=deadline.check,
            )
            owner.release(owned)
        if target.tags:
            tags = json.dumps({"tags": dict(target.tags)}, indent=1) + "\n"
            write_whole(_tags(path), tags)
        return RunOutput(target.run_output_name, artifact_uri=str(path))

    def _managed(
        self, disk: Disk, target: ManagedImageTarget, source: ExactSource, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        facts = _facts(target.image_id, disk, source, self._clock, location=target.location, tags=target.tags)
        with self._store.draft(target.image_id, owner) as draft:
            self._fill(draft, disk, target, owner, deadline)
            deadline.check()
            self._store.keep_managed(draft, facts)
        return RunOutput(target.run_output_name, artifact_id=target.image_id)

    def _shared(
        self, disk: Disk, target: SharedImageTarget, source: ExactSource, owner: Owner, deadline: Deadline
    ) -> RunOutput:
        def choose(existing: tuple[Version, ...]) -> Version:
            return versioning.choose(target.versioning, existing, source.exact_version)

        there = self._store.versions(target.gallery_image_id)
        choose(tuple(found for image in there if (found := versioning.parse(image.version))))  # before the long copy
        regions = tuple(region.name for region in target.regions)
        facts = _facts(
            target.gallery_image_id,
            disk,
            source,
            self._clock,
            location=regions[0] if regions else "",
            regions=regions,
            tags=target.tags,
            exclude_from_latest=target.exclude_from_latest,
            replication_mode=target.replication_mode,
        )
        with self._store.draft(target.gallery_image_id, owner) as draft:
            self._fill(draft, disk, target, owner, deadline)
            deadline.check()
            image = self._store.keep_version(draft, facts, target.gallery_image_id, choose)
        return RunOutput(target.run_output_name, artifact_id=image.facts.id, version=image.version, regions=regions)

    def _fill(self, draft: Path, disk: Disk, target: Target, owner: Owner, deadline: Deadline) -> None:
        disks = (disk, *disk.data_disks)
        for one, name in zip(disks, disk_names(len(disks)), strict=True):
            self._flat.put(one, draft / name, owner, deadline.check, self._progress(target.run_output_name))

    def _progress(self, label: str) -> convert.Progress:
        def tell(done: int, total: int) -> None:
            self._emit(Progress(label, done, total))

        return tell


def check_targets(plan: Plan, output: Path) -> Iterator[Diagnostic]:
    """What will keep a VHD from being written: told now, not after the whole build."""
    taken: dict[Path, str] = {}
    for target in plan.targets:
        if not isinstance(target, VhdTarget):
            continue
        try:
            path = _place(target, output).absolute()
            _refuse(target, path)
            for written in _written(path, len(plan.machine.data_disk_sizes_gb)):
                if (another := taken.setdefault(written, target.run_output_name)) != target.run_output_name:
                    raise DistributionError(
                        f"{target.run_output_name} and {another} would be written to the same file",
                        hint="choose another `runOutputName` or `uri`",
                    )
        except DistributionError as error:
            where = target.origin or plan.origin
            yield Diagnostic(Severity.ERROR, "target-not-writable", error.message, where, error.hint)


def _refuse(target: VhdTarget, path: Path) -> None:
    blocked = path if path.is_dir() else None if _writable(path.parent) else path.parent
    if blocked is not None:
        raise DistributionError(
            f"{target.run_output_name}: {blocked} cannot be written",
            hint="look at its rights, or choose another place" + ("" if target.uri else " with `--output`"),
        )


def _written(path: Path, data_disks: int) -> tuple[Path, ...]:
    """The OS disk, the data disks, and the tags."""
    return path, *(_data_disk(path, number) for number in range(1, data_disks + 1)), _tags(path)


def _data_disk(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-data-{number}{path.suffix}")


def _tags(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _place(target: VhdTarget, output: Path) -> Path:
    if target.uri.lower().startswith(("http://", "https://")):
        raise DistributionError(
            f"{target.run_output_name}: the local platform does not write to {shown(target.uri)}",
            hint="leave `uri` out (the VHD then goes to the output folder), or use the Azure platform",
        )
    return local_path(target.uri) if target.uri else own_place(target, output)


def own_place(target: VhdTarget, output: Path) -> Path:
    """Where it is written when it says nothing of that."""
    return output / f"{target.run_output_name}.vhd"


def _writable(directory: Path) -> bool:
    """Whether files can be made in `directory`, which need not be there yet."""
    try:
        directory = directory.absolute()
        while not directory.exists():
            directory = directory.parent
    except OSError:
        return False
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _facts(
    image_id: str,
    disk: Disk,
    source: ExactSource,
    clock: Clock,
    *,
    location: str,
    tags: tuple[tuple[str, str], ...],
    regions: tuple[str, ...] = (),
    exclude_from_latest: bool = False,
    replication_mode: str = "",
) -> Facts:
    now = clock.now().isoformat()
    return Facts(
        id=image_id,
        os_type=disk.os_type,
        generation=disk.generation,
        architecture=disk.architecture,
        security_type=disk.security_type,
        identity=disk.identity or digest("imagewright.published.v1", image_id, now, disk.location),
        source=str(source),
        source_version=source.exact_version,
        created=now,
        location=location,
        regions=regions,
        tags=tags,
        exclude_from_latest=exclude_from_latest,
        replication_mode=replication_mode,
    )
