"""A plan made exact: its content was read, its source resolved, and so every state on its way has a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imagewright.core.clock import Deadline
from imagewright.core.errors import Diagnostic, Severity, TemplateError
from imagewright.core.plan import ExactSource, Plan
from imagewright.core.ports import Platform, Staging
from imagewright.engine import deprovision
from imagewright.engine.finish import Finishing, finishing
from imagewright.engine.resume import Chain, chain
from imagewright.engine.stage import stage


@dataclass(frozen=True, slots=True)
class Exact:
    """`plan` holds no `Remote` any more; `finish` is what comes after its last step."""

    plan: Plan
    source: ExactSource
    finish: Finishing
    keys: Chain


def exact(
    plan: Plan, platform: Platform, staging: Staging, deadline: Deadline, warn: Callable[[Diagnostic], None]
) -> Exact:
    """Reads and downloads, creates nothing. Raises TemplateError with all that the platform finds wrong with it;
    `warn` is told of findings that stop nothing."""
    found = tuple(platform.check(plan))
    if any(one.severity is Severity.ERROR for one in found):
        raise TemplateError(found)
    for one in found:
        warn(one)
    plan = stage(plan, staging, deadline)
    source = platform.resolve(plan.source, plan, deadline)
    finish = finishing(plan, source.os_type)
    keys = chain(
        source,
        platform.machine_facts(source, plan.machine),
        deprovision.prepare(source.os_type),
        plan.steps,
        finish.actions(),
        plan.mask,
    )
    return Exact(plan, source, finish, keys)
