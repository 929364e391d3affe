"""What happens to a guest after the last customizer: it is optimized, then deprovisioned."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.actions import Action, Run, RunAs, Shell
from imagewright.core.plan import OsType, Plan, Step
from imagewright.engine import deprovision


@dataclass(frozen=True, slots=True)
class Finishing:
    """The steps after the customizers, in this order. After `deprovision` nobody can log in any more."""

    optimizers: tuple[Step, ...]
    deprovision: Step

    def actions(self) -> tuple[Action, ...]:
        return tuple(action for step in (*self.optimizers, self.deprovision) for action in step.actions)


def finishing(plan: Plan, os_type: OsType) -> Finishing:
    last = deprovision.deprovision(os_type, trim=plan.optimization.vm_boot)
    return Finishing(_optimizers(plan, os_type), Step(1, "deprovision", "Deprovision", last, plan.origin))


def _optimizers(plan: Plan, os_type: OsType) -> tuple[Step, ...]:
    wanted = plan.optimization
    found: list[tuple[str, tuple[Action, ...]]] = []
    if wanted.workload is not None:
        found.append(("workload", (Run(wanted.workload, Shell.SH, RunAs.ELEVATED),)))
    if wanted.vm_boot:
        found.append(("vmBoot", deprovision.optimize_boot(os_type)))
    return tuple(
        Step(number, name, "Optimize", actions, wanted.workload_origin or plan.origin)
        for number, (name, actions) in enumerate(found, start=1)
    )
