"""Running scripts through the VM agent: the action (`runCommand`) and the managed resource (`runCommands/{name}`)."""

from __future__ import annotations

import base64
import re
import shlex
import subprocess
import threading
from contextlib import suppress
from typing import IO, Any

import azure.mgmt.compute.models as models
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from armsim import problems, schema
from armsim.cloud import Cloud
from armsim.compute.machines import Machines, agent_of
from armsim.exchange import Answer, Call
from armsim.guests.sandbox import Sandbox
from armsim.identifiers import stamp
from armsim.kinds import Kind, Work, default
from armsim.operations import COMPUTE
from armsim.problems import ArmError
from armsim.world import Resource

LIMIT = 4096
HANDLER = "/var/lib/waagent/run-command-handler"
SEQUENCES = "/var/lib/waagent/run-command-sequences"


def run_action(kind: Machines, call: Call, machine: Resource) -> Answer:
    """POST runCommand: 4 KiB of stdout and stderr, success whatever the exit code."""
    schema.check(models.RunCommandInput, call.body)
    if call.body["commandId"] != "RunShellScript":
        raise ArmError(404, "NotFound", f"The command '{call.body['commandId']}' could not be found.")
    sandbox = agent_of(machine)
    parameters = {item["name"]: item["value"] for item in call.body.get("parameters") or []}
    script = _exports(parameters) + "\n".join(call.body.get("script") or [])
    found: dict[str, str] = {"out": "", "err": ""}

    def work() -> None:
        if sandbox is not None:
            _, out, err = sandbox.execute(script)
            found.update(out=out.decode(errors="replace")[-LIMIT:], err=err.decode(errors="replace")[-LIMIT:])

    def finish() -> dict[str, Any]:
        text = f"Enable succeeded: \n[stdout]\n{found['out']}\n[stderr]\n{found['err']}"
        return {
            "value": [
                {
                    "code": "ProvisioningState/succeeded",
                    "level": "Info",
                    "displayStatus": "Provisioning succeeded",
                    "message": text,
                }
            ]
        }

    return kind.accepted(call, machine, "runCommand", work, finish)


class RunCommands(Kind):
    """Managed run commands. With `asyncExecution` the PUT ends when the script has begun, else when it is done."""

    type = "Microsoft.Compute/virtualMachines/runCommands"
    model = models.VirtualMachineRunCommand
    patch_model = models.VirtualMachineRunCommandUpdate
    style = COMPUTE

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        properties = body.setdefault("properties", {})
        source = properties.get("source") or {}
        if not any(source.get(name) for name in ("script", "scriptUri", "commandId")):
            raise problems.missing_parameter("properties.source.script")
        machine = call.cloud.world.get(call.target.parent_path)
        assert machine is not None
        call.kept["sandbox"] = agent_of(machine)
        running = call.cloud.operations.of(machine.id)
        if running is not None and running.verb in {"create", "delete", "deallocate", "powerOff"}:
            raise problems.conflict()
        return body | {
            "properties": default(
                properties, asyncExecution=False, timeoutInSeconds=5400, treatFailureAsDeploymentFailure=False
            )
        }

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        resource.state["sequence"] = resource.state.get("sequence", -1) + 1
        execution = Execution(call.cloud, resource, call.kept["sandbox"])
        resource.state["execution"] = execution
        if resource.properties["asyncExecution"]:
            return lambda: threading.Thread(target=execution.run, daemon=True).start()
        return execution.run

    def finished(self, cloud: Cloud, resource: Resource, verb: str) -> None:
        view = resource.state["execution"].view
        if resource.properties["treatFailureAsDeploymentFailure"] and view["executionState"] not in {
            "Succeeded",
            "Running",
            "Pending",
        }:
            raise ArmError(
                200,
                "VMExtensionProvisioningError",
                "VM has reported a failure when processing run command "
                f"'{resource.name}'. Error message: \"{view.get('executionMessage')}\".",
            )

    def show(self, cloud: Cloud, resource: Resource, query: dict[str, str]) -> dict[str, Any]:
        shown = resource.shown()
        properties = shown["properties"]
        for secret in ("protectedParameters", "runAsPassword"):
            properties.pop(secret, None)
        for name in ("outputBlobUri", "errorBlobUri"):
            if name in properties:
                properties[name] = properties[name].split("?")[0]
        if query.get("$expand", "").lower() == "instanceview" and "execution" in resource.state:
            properties["instanceView"] = dict(resource.state["execution"].view)
        return shown

    def demolish(self, cloud: Cloud, resource: Resource) -> Work | None:
        execution: Execution | None = resource.state.get("execution")
        return execution.cancel if execution is not None else None


class Execution:
    """A script that runs in a guest; what it prints goes to append blobs as it comes, and into the instance view."""

    def __init__(self, cloud: Cloud, resource: Resource, sandbox: Sandbox | None) -> None:
        self.cloud = cloud
        self.properties = resource.properties
        self.name, self.sequence = resource.name, resource.state["sequence"]
        self.sandbox = sandbox
        self.view: dict[str, Any] = {
            "executionState": "Pending",
            "exitCode": 0,
            "output": "",
            "error": "",
            "statuses": [],
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._canceled = False

    def run(self) -> None:
        self.view |= {"executionState": "Running", "startTime": stamp()}
        if self.sandbox is None:
            self.view |= {"executionState": "Succeeded", "endTime": stamp()}
            return
        if self._has_been():
            self.view |= {"executionState": "Succeeded", "endTime": stamp()}
            return
        wrapped = self.sandbox.inside("env", "ARMSIM_AGENT=1", "/bin/bash", "-c", self._script())
        self._process = subprocess.Popen(
            wrapped, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        readers = [
            threading.Thread(
                target=self._pump, args=(self._process.stdout, "output", self.properties.get("outputBlobUri"))
            ),
            threading.Thread(
                target=self._pump, args=(self._process.stderr, "error", self.properties.get("errorBlobUri"))
            ),
        ]
        for reader in readers:
            reader.start()
        try:
            code = self._process.wait(timeout=self.properties["timeoutInSeconds"])
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.view["executionMessage"] = "The execution timed out."
            code = -1
        for reader in readers:
            reader.join()
        if not self._handler_lives():
            return
        state = (
            "Canceled"
            if self._canceled
            else "TimedOut"
            if code == -1 and "executionMessage" in self.view
            else "Succeeded"
            if code == 0
            else "Failed"
        )
        default(self.view, executionMessage=f"RunCommand script execution {state.lower()} with exit code {code}")
        self.view |= {"exitCode": code, "endTime": stamp(), "executionState": state}

    def _has_been(self) -> bool:
        """The handler notes on the disk which of a name it has run, and runs nothing twice: also not for another
        machine that starts from the disk."""
        assert self.sandbox is not None
        note = f"{SEQUENCES}/{self.name}.mrseq"
        look = f'[ -e {note} ] && [ "$(cat {note})" -ge {self.sequence} ] && exit 77'
        return self.sandbox.execute(f"{look}; mkdir -p {SEQUENCES}; echo {self.sequence} >{note}")[0] == 77

    def cancel(self) -> None:
        self._canceled = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _handler_lives(self) -> bool:
        """Whether anybody is left in the guest who could tell how it went."""
        assert self.sandbox is not None
        return self.sandbox.alive and self.sandbox.execute(f"test -d {HANDLER}")[0] == 0

    def _script(self) -> str:
        """As the handler does: named parameters are its environment, which sudo does not hand on to another user."""
        source = self.properties["source"]
        given = [*(self.properties.get("parameters") or []), *(self.properties.get("protectedParameters") or [])]
        text: str | None = source.get("script")
        if text is None:
            uri = source["scriptUri"]
            fetched = self._blob(uri).download_blob().readall()
            text = fetched.decode()
        named = {item["name"]: item["value"] for item in given if item.get("name")}
        encoded = base64.b64encode(text.encode()).decode()
        user = self.properties.get("runAsUser")
        run = f"chown {shlex.quote(user)} $f && exec sudo -n -u {shlex.quote(user)} $f" if user else "exec $f"
        place = "/tmp" if user else HANDLER
        make = (
            f"mkdir -p {HANDLER}; f=$(mktemp {place}/script.XXXXXX) && echo {encoded} | base64 -d >$f && chmod 500 $f"
        )
        return f"{make} && {_exports(named)}{run}"

    def _pump(self, stream: IO[bytes], name: str, uri: str | None) -> None:
        """Where the blob's account is deleted meanwhile, the script runs on, and nobody reads its output."""
        blob = self._blob(uri) if uri else None
        with stream:
            if blob is not None:
                with suppress(ResourceNotFoundError):
                    if not blob.exists():
                        blob.create_append_blob()
            while chunk := stream.read1(65536):  # type: ignore[attr-defined]
                self.view[name] = (self.view[name] + chunk.decode(errors="replace"))[-LIMIT:]
                if blob is not None:
                    with suppress(ResourceNotFoundError):
                        blob.append_block(chunk)

    def _blob(self, uri: str) -> BlobClient:
        """The caller's SAS is what counts: the URL is used as it is."""
        from azure.core.pipeline.transport import RequestsTransport

        from armsim.certificates import certificates

        return BlobClient.from_blob_url(
            uri, transport=RequestsTransport(connection_verify=str(certificates().authority))
        )


def _exports(parameters: dict[str, str]) -> str:
    good = {name: value for name, value in parameters.items() if re.fullmatch(r"[A-Za-z_]\w*", name)}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in good.items())
