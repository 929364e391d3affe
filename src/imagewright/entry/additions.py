"""What a pipeline adds to a plan: a script in front, build artifacts, tags, and the name of the first run output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from imagewright.core.events import Emit
from imagewright.core.plan import OsType, Plan
from imagewright.entry.artifacts import bring, os_type_of, with_prelude
from imagewright.entry.inputs import Request
from imagewright.entry.made_template import tags

_TOLD = {
    "windows": OsType.WINDOWS,
    "powershell": OsType.WINDOWS,
    "linux": OsType.LINUX,
    "shell": OsType.LINUX,
}


def os_type(plan: Plan, request: Request) -> OsType:
    """What the inputs say, or else what the plan gives away."""
    given = request.pipeline
    return _TOLD.get(given.source_os_type) or _TOLD.get(given.provisioner) or os_type_of(plan)


def added(
    plan: Plan, request: Request, artifacts: str, *, directory: Path, own_tags: Mapping[str, str], tell: Emit
) -> Plan:
    """`artifacts` is a folder, file or pattern, or `""`; it is packed into `directory`."""
    given = request.pipeline
    system = os_type(plan, request)
    if request.prelude.strip():
        plan = with_prelude(plan, request.prelude, system)
    if artifacts:
        plan = bring(
            plan,
            artifacts,
            directory=directory,
            tell=tell,
            exclude=given.artifacts_exclude,
            keep=given.keep_artifacts,
            os_type=system,
            to_first_dot=request.former_folder,
        )
    if request.run_output_name and plan.targets:
        first, *others = plan.targets
        plan = replace(plan, targets=(replace(first, run_output_name=request.run_output_name), *others))
    return _tagged(plan, {**own_tags, **tags(given.image_tags, given.where("image_tags"))})


def _tagged(plan: Plan, own: Mapping[str, str]) -> Plan:
    """Every target tells where its image comes from; what the template says is stronger."""
    targets = tuple(replace(each, tags=tuple({**own, **dict(each.tags)}.items())) for each in plan.targets)
    return replace(plan, targets=targets)
