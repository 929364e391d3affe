"""What a build would do: the exact source, the cached steps, what would be written. Creates no machine."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.address import bare
from imagewright.core.clock import Deadline
from imagewright.core.errors import Diagnostic
from imagewright.core.plan import (
    ExactSource,
    ExplicitVersion,
    LatestVersioning,
    ManagedImageTarget,
    Plan,
    SharedImageTarget,
    SourceVersioning,
    Target,
    Versioning,
    VhdTarget,
)
from imagewright.core.ports import Platform, Staging
from imagewright.engine.exact import exact
from imagewright.engine.resume import CachePolicy, Chain


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step as it would be done. `cached`: the build would resume behind it. `key` names the state after it."""

    number: int
    name: str
    type: str
    cached: bool
    key: str


@dataclass(frozen=True, slots=True)
class TargetReport:
    run_output_name: str
    type: str
    destination: str


@dataclass(frozen=True, slots=True)
class PlanReport:
    """`resumes_after` is the number of the last cached step, 0: the booted source, None: a boot from scratch. With
    `source_only` the validators run on the source, and nothing else is done."""

    template: str
    platform: str
    source: ExactSource
    steps: tuple[StepReport, ...]
    finish: tuple[str, ...]
    validators: tuple[str, ...]
    targets: tuple[TargetReport, ...]
    source_only: bool
    resumes_after: int | None
    disk_is_kept: bool
    timeout: float
    diagnostics: tuple[Diagnostic, ...]


def explain(
    plan: Plan, *, platform: Platform, staging: Staging, policy: CachePolicy, deadline: Deadline
) -> PlanReport:
    """Resolve and stage `plan` as a build would, and look up what is kept. Raises TemplateError."""
    found: list[Diagnostic] = []
    ready = exact(plan, platform, staging, deadline, found.append)
    plan, keys, finish = ready.plan, ready.keys, ready.finish
    source_only = plan.validation.source_only
    resumes = None if source_only else _resumes_after(keys, platform, policy)
    kept = not source_only and policy.reuse and platform.cache.has(keys.captured)
    done = len(plan.steps) if kept else (resumes or 0)
    return PlanReport(
        template=plan.name,
        platform=platform.name,
        source=ready.source,
        steps=tuple(
            StepReport(step.number, step.name, step.type, step.number <= done, keys.keys[step.number])
            for step in (() if source_only else plan.steps)
        ),
        finish=() if source_only else tuple(step.name for step in (*finish.optimizers, finish.deprovision)),
        validators=tuple(step.name for step in plan.validation.steps),
        targets=() if source_only else tuple(_target(target, plan, platform) for target in plan.targets),
        source_only=source_only,
        resumes_after=resumes,
        disk_is_kept=kept,
        timeout=plan.timeout,
        diagnostics=tuple(found),
    )


def _resumes_after(keys: Chain, platform: Platform, policy: CachePolicy) -> int | None:
    if not policy.reuse:
        return None
    behind = range(len(keys.keys) - 1, -1, -1)
    return next((done for done in behind if platform.cache.has(keys.keys[done])), None)


def _target(target: Target, plan: Plan, platform: Platform) -> TargetReport:
    match target:
        case ManagedImageTarget():
            return TargetReport(target.run_output_name, "ManagedImage", target.image_id)
        case SharedImageTarget():
            destination = f"{target.gallery_image_id} ({_asked(target.versioning)})"
            return TargetReport(target.run_output_name, "SharedImage", destination)
        case VhdTarget():
            where = bare(target.uri) or platform.place_of(target, plan)
            return TargetReport(target.run_output_name, "VHD", where)


def _asked(versioning: Versioning) -> str:
    match versioning:
        case ExplicitVersion():
            return versioning.version
        case LatestVersioning():
            return "the next version" if versioning.major < 0 else f"the next version of major {versioning.major}"
        case SourceVersioning():
            return "the source's version"
