"""A Linux guest through the VM agent: no open port, no SSH. Scripts are managed run commands; what they print comes
back through append blobs as they print it."""

from __future__ import annotations

import base64
import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from imagewright.communicators.lines import Lines
from imagewright.communicators.scripts import prepare
from imagewright.core.actions import InstallUpdates, Reboot, Run
from imagewright.core.clock import Clock, Deadline, fresh_name
from imagewright.core.errors import GuestError, PlatformError
from imagewright.core.events import Stream
from imagewright.core.ports import OutputSink
from imagewright.core.secret import Secret
from imagewright.platforms.azure import run_command
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.login import USER
from imagewright.platforms.azure.machine import Pulse
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.polling import doze
from imagewright.platforms.azure.run_command import Script
from imagewright.platforms.azure.storage import Container

INLINE = 24 * 1024
"""Bytes: what is larger goes through the storage account."""

LOOK_EVERY = 5
"""Looks at the output for each look at the script's state."""

FETCH = """\
if command -v curl >/dev/null 2>&1; then curl -fsS --retry 5 -o "$1" "$2"
elif command -v wget >/dev/null 2>&1; then wget -q -O "$1" "$2"
else python3 -c 'import sys,urllib.request as u; u.urlretrieve(sys.argv[2], sys.argv[1])' "$1" "$2"; fi
"""


class AgentGuest:
    """Satisfies core.ports.Guest."""

    def __init__(
        self, arm: Arm, place: Place, machine: str, container: Container, pulse: Pulse, clock: Clock
    ) -> None:
        self._arm = arm
        self._place = place
        self._machine = machine
        self._container = container
        self._pulse = pulse
        self._clock = clock
        self._scripts = 0

    def run(self, run: Run, content: bytes, output: OutputSink, deadline: Deadline) -> int:
        self._scripts += 1
        prepared = prepare(run, content, self._scripts)
        path = f"/tmp/script_{self._scripts}.sh"
        receive, secrets = self._receive(prepared.content, path)
        return self._execute(f"{receive}\n{prepared.execute}\n", secrets, output, deadline)

    def upload(self, content: bytes | Path, destination: str, mode: int, deadline: Deadline) -> None:
        data = content.read_bytes() if isinstance(content, Path) else content
        receive, secrets = self._receive(data, destination)
        said: list[str] = []
        script = f"set -e\n{receive}\nchmod {mode:04o} {shlex.quote(destination)}\n"
        code = self._execute(script, secrets, lambda line, _: said.append(line), deadline)
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
        )
        check = reboot.check_command or "true"
        code = self._execute(check, (), output, within)
        if code != 0:
            raise GuestError(f"the check after the reboot ended with exit code {code}")

    def install_updates(self, updates: InstallUpdates, output: OutputSink, deadline: Deadline) -> None:
        raise GuestError("WindowsUpdate needs a Windows guest")

    def close(self) -> None: ...

    # --- inside ---

    def _receive(self, content: bytes, path: str) -> tuple[str, tuple[Secret, ...]]:
        """Shell that writes `content` to `path`, and the secrets that it needs."""
        target = shlex.quote(path)
        if len(content) <= INLINE:
            text = base64.b64encode(content).decode()
            return f"umask 077; rm -f {target}; printf %s {text} | base64 -d > {target}", ()
        blob = f"{fresh_name()}.bin"
        self._container.put(blob, content)
        url = Secret("CONTENT_URL", self._container.sas(blob, write=False).reveal())
        return f'umask 077; set -- {target} "$CONTENT_URL"; unset CONTENT_URL\n{FETCH}set --', (url,)

    def _execute(self, script: str, secrets: tuple[Secret, ...], output: OutputSink, deadline: Deadline) -> int:
        name = f"iw-{fresh_name(8)}"
        streams = [
            _Growing(self._container, f"{name}.out", Stream.STDOUT),
            _Growing(self._container, f"{name}.err", Stream.STDERR),
        ]
        for each in streams:
            self._container.put_empty_log(each.blob)
        command = Script(
            script,
            secrets,
            user=USER,
            output=self._container.sas(streams[0].blob, write=True),
            errors=self._container.sas(streams[1].blob, write=True),
            seconds=deadline.remaining(),
        )
        run_command.start(self._arm, self._place, self._machine, name, command, deadline)
        pauses, view, state = _pauses(), {}, ""
        for turn in range(1 << 30):
            more = [each.tell(output) for each in streams]
            if turn % LOOK_EVERY == 0 or turn < LOOK_EVERY:
                view = run_command.look(self._arm, self._place, self._machine, name, deadline)
                state = view.get("executionState", "")
                if state in run_command.FINISHED:
                    break
            self._pulse.check()
            doze(0.2 if any(more) else next(pauses), deadline)
        for each in streams:
            each.end(output)
        self._forget(name, deadline)
        if state == "TimedOut":
            deadline.check()
            raise GuestError("the script took longer than the build may")
        if state == "Canceled":
            raise GuestError("the script was cancelled by somebody else")
        return int(view.get("exitCode") or 0)

    def _forget(self, name: str, deadline: Deadline) -> None:
        """A VM holds a few dozen run commands only."""
        with contextlib.suppress(PlatformError):
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


def _pauses() -> Iterator[float]:
    seconds = 0.2
    while True:
        yield seconds
        seconds = min(3.0, seconds * 1.3)
