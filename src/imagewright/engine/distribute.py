"""All targets at once; one that fails does not stop the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from imagewright.core.clock import Deadline
from imagewright.core.disk import Disk
from imagewright.core.errors import CancelledError, ImagewrightError
from imagewright.core.ownership import Owner
from imagewright.core.plan import ExactSource, Plan, Target, VhdTarget
from imagewright.core.ports import SOURCE_TAG, Platform, source_tag
from imagewright.core.result import RunOutput


@dataclass(frozen=True, slots=True)
class Distributed:
    """What was written, in the order of the template, and what was not, with the reason."""

    outputs: tuple[RunOutput, ...]
    failures: tuple[tuple[Target, ImagewrightError], ...]


def distribute(
    plan: Plan, disk: Disk, source: ExactSource, platform: Platform, owner: Owner, deadline: Deadline
) -> Distributed:
    """Write `disk` to every target of `plan`. Raises CancelledError only; a timeout is a failure of its target."""
    outputs: list[RunOutput] = []
    failures: list[tuple[Target, ImagewrightError]] = []
    pool = ThreadPoolExecutor(max_workers=max(1, len(plan.targets)), thread_name_prefix="distribute")
    try:
        futures = [
            (target, pool.submit(platform.publish, disk, _marked(target, source), source, plan, owner, deadline))
            for target in plan.targets
        ]
        for target, future in futures:
            try:
                outputs.append(future.result())
            except CancelledError:
                raise
            except ImagewrightError as error:
                error.origin = error.origin or target.origin
                failures.append((target, error))
    except BaseException:
        deadline.stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return Distributed(tuple(outputs), tuple(failures))


def _marked(target: Target, source: ExactSource) -> Target:
    """Every image tells what it was built from, whoever asks later; a VHD has no place to tell it."""
    if isinstance(target, VhdTarget):
        return target
    return replace(target, tags=tuple({**dict(target.tags), SOURCE_TAG: source_tag(source)}.items()))
