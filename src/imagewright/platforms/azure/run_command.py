"""Scripts that the VM agent runs: managed run commands. They need no port that is open to us."""

from __future__ import annotations

from dataclasses import dataclass

from imagewright.core.clock import Deadline
from imagewright.core.secret import Secret
from imagewright.platforms.azure.arm import Arm, Call, Json, Operation
from imagewright.platforms.azure.place import Place

FINISHED = frozenset({"Succeeded", "Failed", "TimedOut", "Canceled"})


@dataclass(frozen=True, slots=True)
class Script:
    """What root shall run. Whoever may read the VM may read `text`. `secrets` become environment variables that
    nobody can read back; `output` and `errors` are SAS URLs of append blobs, or None."""

    text: str
    secrets: tuple[Secret, ...] = ()
    output: Secret | None = None
    errors: Secret | None = None
    seconds: float = 600.0


def run(arm: Arm, place: Place, machine: str, name: str, script: Script, deadline: Deadline) -> None:
    """Run `script` to its end. Raises PlatformError with what the agent says when it fails."""
    call = _put(place, machine, name, script, deadline, wait=True)
    arm.do("running a script in the guest", deadline, call, result=False)


def start(arm: Arm, place: Place, machine: str, name: str, script: Script, deadline: Deadline) -> Operation:
    """Begin `script`. The operation ends when the agent has told that it runs; `look` says how it goes."""
    call = _put(place, machine, name, script, deadline, wait=False)
    return arm.begin("running a script in the guest", deadline, call, result=False)


def look(arm: Arm, place: Place, machine: str, name: str, deadline: Deadline) -> Json:
    """The instance view: `executionState`, `exitCode`, `executionMessage`, `output`, `error`."""
    found: Json = arm.ask(
        "looking after a script in the guest",
        deadline,
        lambda c, k: c.compute.virtual_machine_run_commands.get_by_virtual_machine(
            place.group, machine, name, expand="instanceView", **k
        ),
    )
    view: Json = found["properties"].get("instanceView") or {}
    return view


def _put(place: Place, machine: str, name: str, script: Script, deadline: Deadline, *, wait: bool) -> Call:
    properties: dict[str, object] = {
        "source": {"script": script.text},
        "protectedParameters": [{"name": each.name, "value": each.reveal()} for each in script.secrets],
        "timeoutInSeconds": int(min(script.seconds, max(1.0, deadline.remaining()))),
        "asyncExecution": not wait,
        "treatFailureAsDeploymentFailure": wait,
    }
    if script.output is not None:
        properties["outputBlobUri"] = script.output.reveal()
    if script.errors is not None:
        properties["errorBlobUri"] = script.errors.reveal()
    return lambda c, k: c.compute.virtual_machine_run_commands.begin_create_or_update(
        place.group, machine, name, place.body(properties), **k
    )
