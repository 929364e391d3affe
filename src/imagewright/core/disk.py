"""The narrow waist: platforms produce a Disk, distributors take one."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.plan import Generation, OsType, PurchasePlan


@dataclass(frozen=True, slots=True)
class Disk:
    """A generalized, powered-off disk.

    `location` is the platform's own: a path on this machine, or an ARM resource id. `format` is `qcow2`, `raw`, `vhd`
    or `managed`. `virtual_size` is in bytes. `identity` names this very content where the disk is kept (two that were
    made under one chain key differ), else `""`.
    """

    location: str
    format: str
    virtual_size: int
    os_type: OsType
    generation: Generation
    architecture: str = "x64"
    identity: str = ""
    security_type: str = "Standard"
    plan: PurchasePlan | None = None
    data_disks: tuple[Disk, ...] = ()
