"""Every fault at every request where it can occur: the build survives it, or says the right thing and leaves nothing.

The requests are those of an undisturbed build of the same kind. A fault that strikes nothing is a failure too: what a
build does not meet tests nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from armsim import ArmError, Simulator, problems
from armsim.exchange import Exchange
from armsim.faults import Fault
from azure_world import NO_CACHE, AzureWorld, script
from sdk import Sdk
from shapes import Shape, blobs, shape

from imagewright.core.choices import Keep, Reach
from imagewright.core.plan import AzureSettings, Plan, Validation
from imagewright.core.result import BuildResult, RunState
from imagewright.engine.resume import CachePolicy

# --- the builds ---


@dataclass(frozen=True)
class Kind:
    """A kind of build. `only`: its own requests, where all others are met in the builds before. `told`: how a failure
    at one of them is told, where that is not by what is asked for; `""`: the build goes on without."""

    plan: Callable[[AzureWorld, int], Plan] = lambda world, _number: world.plan("true")
    policy: CachePolicy = NO_CACHE
    choices: dict[str, Any] = field(default_factory=dict)
    warm: bool = False
    only: str = ""
    told: str | None = None


def _three(world: AzureWorld, number: int) -> Plan:
    targets = (world.shared(gallery_image_id=world.far), world.managed(f"web-{number}"), world.vhd())
    return world.plan("true", targets=targets)


def _shared(world: AzureWorld, _number: int) -> Plan:
    mine = f"/subscriptions/{world.simulator.subscription}/resourceGroups/mine"
    return world.plan("true", azure=AzureSettings(world.simulator.subscription, "results", mine))


def _validated(world: AzureWorld, _number: int) -> Plan:
    return world.plan("true", validation=Validation(steps=(script(1, "true"),)))


KINDS = {
    "gallery": Kind(),
    "three targets": Kind(_three, warm=True, only=r"snapshots|images/\*|storageaccounts|getaccess"),
    "resumed": Kind(
        lambda world, number: world.plan("echo same", f"echo {number}"), CachePolicy(keep=Keep.ALL), warm=True,
        only=r"disks|extensions|runcommand", told="",
    ),
    "validated": Kind(_validated, only=r"compute/images/\*$", told="PlatformError"),
    "agent": Kind(choices={"reach": Reach.AGENT}, only=r"runcommands|storageaccounts", told="PlatformError"),
    "somebody's group": Kind(_shared, only="^(?!.*operation)"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Met:
    """A request that an undisturbed build sends: to `arm`, `blob` or `login`. `long`: it begins a long operation."""

    where: str
    shape: Shape
    long: bool = False

    @property
    def changes(self) -> bool:
        return self.shape.method in ("PUT", "PATCH", "POST")

    @property
    def type(self) -> str:
        """`galleries/images/versions`; of a resource group `resourcegroups`."""
        parts = self.shape.path.rpartition("/providers/")[2].split("/")[1:]
        parts = parts if "/providers/" in self.shape.path else self.shape.path.split("/")[3:]
        return "/".join(part for part in parts if part != "*")


def met(requests: list[Exchange], data: list[tuple[str, str, int]]) -> list[Met]:
    found: dict[tuple[str, Shape], Met] = {}
    for each in requests:
        headers = {name.lower() for name in each.headers}
        long = each.method != "GET" and bool(headers & {"azure-asyncoperation", "location"})
        found.setdefault(("arm", shape(each.method, each.path)), Met("arm", shape(each.method, each.path), long))
    for one in blobs(data):
        found.setdefault(("blob", one), Met("blob", one))
    return list(found.values())


# --- the faults ---

SOON = {"retry-after-ms": "20"}
BROKEN = ArmError(200, "InternalExecutionError", "An internal execution error occurred.")


@dataclass(frozen=True)
class Row:
    """What strikes and where, and what comes of it: the kind of failure (`""`: the build succeeds, whatever it lost),
    what its message and its hint say. `left`: the deletion itself may fail, if that is said."""

    make: Callable[[Met], dict[str, Any]]
    where: Callable[[Met], bool]
    kind: Callable[[Met], str] = lambda _: ""
    said: str = ""
    hint: str = ""
    left: bool = False


def _arm(one: Met) -> bool:
    return one.where == "arm"


def _throttled(_: Met) -> dict[str, Any]:
    error = problems.throttled("PutVM", 1)
    return {"error": ArmError(429, error.code, error.message, headers=SOON, raw=error.raw)}


def _broken(one: Met) -> dict[str, Any]:
    return {"error": ArmError(500, "InternalServerError", "An error occurred."), "where": one.where}


def _is_result(one: Met) -> bool:
    """A target that fails is told as such; so is a failed copy for it."""
    return one.type in ("galleries/images/versions", "images") or "getaccess" in one.type or "storage" in one.type


def _told(one: Met) -> str:
    if one.shape.method == "DELETE":
        return ""
    return "DistributionError" if _is_result(one) else "PlatformError"


def _refusing(error: Callable[[], ArmError]) -> Callable[[Met], dict[str, Any]]:
    return lambda _: {"error": error(), "times": None}


def _machine(one: Met) -> bool:
    return one.shape.method == "PUT" and one.type == "virtualmachines"


PASSING = {
    "429": Row(_throttled, _arm),
    "409": Row(lambda _: {"error": problems.conflict()}, _arm),
    "500": Row(_broken, lambda _: True),
    "503": Row(lambda one: {"status": 503, "body": b"", "where": one.where}, lambda _: True),
    "dropped": Row(lambda one: {"drop": "before", "where": one.where}, lambda _: True),
    "dropped after": Row(lambda one: {"drop": "after", "where": one.where}, lambda _: True),
}
LASTING = {
    "operation fails": Row(
        lambda _: {"fail": BROKEN}, lambda one: one.long, _told, "InternalExecutionError", "later", left=True
    ),
    "policy": Row(
        lambda one: {"error": problems.policy_denied(one.shape.short, "no-such-things"), "times": None},
        lambda one: _arm(one) and one.shape.method == "PUT", _told, "no-such-things", "exemption",
    ),
    "right revoked": Row(
        lambda one: {"error": problems.not_authorized("c", "o", f"Some/{one.type}/action", "/"), "times": None},
        lambda one: _arm(one) and one.shape.method != "GET",
        lambda one: {"PlatformError": "AuthenticationError"}.get(_told(one), _told(one)),
        "Some/", "imagewright doctor", left=True,
    ),
    "quota": Row(
        _refusing(lambda: problems.quota_exceeded("Total Regional", "eastus", 4, 3, 2)), _machine,
        lambda _: "QuotaError", "limit 4, in use 3, needed 2", "ask for at least 5",
    ),
    "no such size": Row(
        _refusing(lambda: problems.sku_not_available("Standard_X", "eastus")), _machine, lambda _: "QuotaError",
        "SkuNotAvailable", "--fallback-size",
    ),
    "not provisioned": Row(
        lambda _: {"fail": problems.os_provisioning_timed_out("vm"), "times": None}, _machine,
        lambda _: "PlatformError", "OSProvisioningTimedOut", "cloud-init",
    ),
}  # fmt: skip
ROWS = PASSING | LASTING
CASES = [(kind, row) for kind in KINDS for row in ROWS if kind == "gallery" or row in ("operation fails", "policy")]
"""Every row for the plain build; of the others the requests that it does not send, and the faults that stay."""


@pytest.mark.long
@pytest.mark.parametrize(("kind", "row"), CASES)
def test_every_fault_at_every_request(start: Callable[..., Simulator], tmp_path: Path, kind: str, row: str) -> None:
    simulator = start()
    with Sdk(simulator) as sdk:
        world = AzureWorld(simulator, tmp_path, sdk)
        world.far = world.gallery("far", location="westus2")
        sdk.resource.resource_groups.create_or_update("mine", {"location": "eastus"})
        table = Table(KINDS[kind], ROWS[row], world)
        wanted = [one for one in table.met if ROWS[row].where(one) and re.search(KINDS[kind].only, one.shape.path)]
        wrong = [complaint for one in wanted if (complaint := table.strike(one))]
    assert wanted
    assert wrong == [], "\n".join(wrong)


class Table:
    def __init__(self, kind: Kind, row: Row, world: AzureWorld) -> None:
        self._kind = kind
        self._row = row
        self._world = world
        self._number = 0
        if kind.warm:
            self._build()
        world.mark()
        before = len(world.simulator.requests), len(world.simulator.blob_requests)
        result = self._build()
        assert result.state is RunState.SUCCEEDED, (result.failure, result.target_failures)
        self.met = met(world.simulator.requests[before[0] :], world.simulator.blob_requests[before[1] :])
        world.forget()

    def _build(self) -> BuildResult:
        self._number += 1
        plan = self._kind.plan(self._world, self._number)
        return self._world.build(plan, self._kind.policy, **self._kind.choices)

    def strike(self, one: Met) -> str:
        """What is wrong with a build that meets the fault; `""` when nothing is."""
        fault = self._world.simulator.faults.add(Fault(one.shape.pattern, one.shape.method, **self._row.make(one)))
        result = self._build()
        self._world.simulator.faults.clear()
        try:
            wrong = self._judge(one, fault, result)
        finally:
            self._world.forget()
        text = result.failure and f"{result.failure.kind}: {result.failure.message} | {result.failure.hint}"
        return f"{one.shape.short}: {wrong} ({text}, {result.target_failures}, {result.left_behind})" if wrong else ""

    def _judge(self, one: Met, fault: Fault, result: BuildResult) -> str:
        failure = result.failure
        got = failure.kind if failure is not None else ""
        if not fault.struck:
            return "it did not strike"
        expected = self._row.kind(one)
        if expected and self._kind.told is not None:
            expected = self._kind.told
        if got != expected:
            return f"ended as {got or 'a success'}"
        if failure is not None and not (self._row.said in failure.message and self._row.hint in failure.hint):
            return "says something else"
        if result.left_behind and not self._row.left:
            return f"left behind {result.left_behind}"
        for owned in reversed(self._world.pending):
            self._world.platform().delete(owned, self._world.deadline())
        came = {each.artifact_id or each.artifact_uri for each in result.run_outputs}
        kept = {each for each in self._world.published() if "/imagewright-cache" in each}
        extra = self._world.left() ^ (came | kept)
        return f"left {sorted(extra)}" if extra else ""
