"""A Linux guest through the VM agent: no open port, no SSH. Scripts are managed run commands; what they print comes
back through append blobs as they print it."""

from __future__ import annotations

import shlex
from itertools import count
from pathlib import Path

from imagewright.communicators.lines import Lines
from imagewright.communicators.scripts import prepare
from imagewright.core.actions import InstallUpdates, Reboot, Run
from imagewright.core.clock import Deadline, fresh_name
from imagewright.core.errors import GuestError, PlatformError
from imagewright.core.events import Stream
from imagewright.core.ports import OutputSink
from imagewright.core.secret import Secret
from imagewright.engine.waiting import backoff
from imagewright.platforms.azure import run_command
from imagewright.platforms.azure.arm import Arm, Json, Operation
from imagewright.platforms.azure.login import USER
from imagewright.platforms.azure.machine import Pulse, StoppedError
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.run_command import Script
from imagewright.platforms.azure.storage import Container

LOOK_EVERY = 5
"""Looks at the output for each look at the script's state."""

POWER_SECONDS = 10.0
"""How often a guest that runs a script is asked whether it still runs: the last script powers it off."""

LAUNCH = f"""\
#!/bin/sh
# $CONTENT is where the input of $COMMAND can be read, $COMMAND what the build user shall run.
content=$CONTENT command=$COMMAND
unset CONTENT COMMAND
# The agent does not survive its deprovisioning and could tell nobody how that went: the guest powers itself off.
mkdir -p /run/imagewright && echo power_off=quick > /run/imagewright/environment || exit
if [ -n "$content" ]; then
  file=$(umask 077; mktemp) || exit
  if command -v curl >/dev/null 2>&1; then curl -fsS --retry 5 -o "$file" "$content" || exit
  elif command -v wget >/dev/null 2>&1; then wget -q -O "$file" "$content" || exit
  else python3 -c 'import sys,urllib.request as u; u.urlretrieve(sys.argv[2], sys.argv[1])' "$file" "$content" || exit
  fi
  exec <"$file"
  rm -f "$file"
fi
set -- runuser -s /bin/sh {USER} -c "$command"
# Where systemd allows it, in a unit of its own: the agent takes with it what runs in its own.
if [ -d /run/systemd/system ] && systemd-run --help 2>/dev/null | grep -q -e --collect; then
  set -- systemd-run --quiet --collect --wait --pipe --description='a script of Imagewright' "$@"
fi
exec "$@"
"""


class AgentGuest:
    """Satisfies core.ports.Guest."""

    def __init__(self, arm: Arm, place: Place, machine: str, container: Container, pulse: Pulse) -> None:
        self._arm = arm
        self._place = place
        self._machine = machine
        self._container = container
        self._pulse = pulse
        self._scripts = 0

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        self._scripts += 1
        prepared = prepare(run, content, self._scripts)
        command = f"({prepared.receive}) || exit\nexec </dev/null\n{prepared.execute}"
        return self._execute(command, prepared.content, output, deadline, powers_off=run.powers_off)

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        data = content.read_bytes() if isinstance(content, Path) else content
        target = shlex.quote(destination)
        said: list[str] = []
        command = f"umask 077; rm -f {target} && cat > {target} && chmod {mode:04o} {target}"
        code = self._execute(command, data, lambda line, _: said.append(line), deadline)
        if code != 0:
            raise GuestError(
                f"{destination} could not be written on the guest: {' '.join(said)}",
                hint="files are written by the build user: upload to /tmp and move the file with a Shell customizer",
            )

    def reboot(self, reboot: Reboot, output: OutputSink, deadline: Deadline) -> None:
        within = deadline.sooner(reboot.timeout, "the reboot", "raise `restartTimeout`", PlatformError)
        self._arm.do(
            "restarting the build VM",
            within,
            lambda c, k: c.compute.virtual_machines.begin_restart(self._place.group, self._machine, **k),
            result=False,
        )
        code = self._execute(reboot.check_command or "true", b"", output, within)
        if code != 0:
            raise GuestError(f"the check after the reboot ended with exit code {code}")

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        raise GuestError("WindowsUpdate needs a Windows guest")

    def close(self) -> None: ...

    # --- inside ---

    def _execute(
        self, command: str, content: bytes, output: OutputSink, deadline: Deadline, *, powers_off: bool = False
    ) -> int:
        """Run `command` as the build user, `content` as its input; its exit code. Where it `powers_off`, the guest's
        end is a good one."""
        self._pulse.check()
        name = f"iw-{fresh_name(8)}"
        streams = (
            _Growing(self._container, f"{name}.out", Stream.STDOUT),
            _Growing(self._container, f"{name}.err", Stream.STDERR),
        )
        for each in streams:
            self._container.put_empty_log(each.blob)
        script = Script(
            LAUNCH,
            self._secrets(name, f"cd\n{command}", content),
            output=self._container.sas(streams[0].blob, write=True),
            errors=self._container.sas(streams[1].blob, write=True),
            seconds=deadline.remaining(),
        )
        begun = run_command.start(self._arm, self._place, self._machine, name, script, deadline)
        stopped: StoppedError | None = None
        view: Json = {}
        try:
            view = self._followed(name, begun, streams, output, deadline)
        except StoppedError as error:
            stopped = error
        for each in streams:
            each.end(output)
        if stopped is not None:
            if powers_off:
                return 0
            raise stopped
        self._forget(name, deadline)
        return _exit_code(view, deadline)

    def _secrets(self, name: str, command: str, content: bytes) -> tuple[Secret, ...]:
        secrets = (Secret("COMMAND", command),)
        if not content:
            return secrets
        self._container.put(f"{name}.in", content)
        return (*secrets, Secret("CONTENT", self._container.sas(f"{name}.in", write=False).reveal()))

    def _followed(
        self, name: str, begun: Operation, streams: tuple[_Growing, ...], output: OutputSink, deadline: Deadline
    ) -> Json:
        """What is known of the script when it has ended. Raises StoppedError when the guest has ended instead."""
        pauses, looks = backoff(0.2, 1.3, 3.0), count()
        while True:
            more = [each.tell(output) for each in streams]
            if begun.ended(0) and ((turn := next(looks)) < LOOK_EVERY or turn % LOOK_EVERY == 0):
                begun.wait()
                view = run_command.look(self._arm, self._place, self._machine, name, deadline)
                if view.get("executionState") in run_command.FINISHED:
                    return view
            self._pulse.check(POWER_SECONDS)
            deadline.wait(0.2 if any(more) else next(pauses))

    def _forget(self, name: str, deadline: Deadline) -> None:
        """A VM holds a few dozen run commands only."""
        self._arm.send(
            "deleting a run command",
            deadline,
            lambda c, k: c.compute.virtual_machine_run_commands.begin_delete(
                self._place.group, self._machine, name, **k
            ),
        )


class _Growing:
    """One stream of a script, read as it grows."""

    def __init__(self, container: Container, blob: str, stream: Stream) -> None:
        self._container = container
        self.blob = blob
        self._stream = stream
        self._offset = 0
        self._lines = Lines()

    def tell(self, output: OutputSink) -> bool:
        data = self._container.read_from(self.blob, self._offset)
        self._offset += len(data)
        for line in self._lines.feed(data):
            output(line, self._stream)
        return bool(data)

    def end(self, output: OutputSink) -> None:
        while self.tell(output):
            pass
        for line in self._lines.end():
            output(line, self._stream)


def _exit_code(view: Json, deadline: Deadline) -> int:
    """A script that failed without an exit code was not run, or not to its end."""
    state, code = view["executionState"], int(view.get("exitCode") or 0)
    if state == "TimedOut":
        deadline.check()
        raise GuestError("the script took longer than the build may")
    if state == "Canceled":
        raise GuestError("the script was cancelled by somebody else")
    if state == "Failed" and code == 0:
        said = " ".join(str(view.get("executionMessage") or view.get("error") or "it does not say why").split())
        raise GuestError(f"the VM agent could not run the script: {said}")
    return code
