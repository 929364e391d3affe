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
    found: list[Step] = []
    if wanted.workload is not None:
        workload = (Run(wanted.workload, Shell.SH, RunAs.ELEVATED),)
        found.append(Step(1, "workload", "Optimize", workload, wanted.workload_origin or plan.origin))
    if wanted.vm_boot:
        boot = deprovision.optimize_boot(os_type)
        found.append(Step(len(found) + 1, "vmBoot", "Optimize", boot, plan.origin))
    return tuple(found)
