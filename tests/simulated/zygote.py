"""A process that has imported everything and forks a command line for each line it reads: start-up costs nothing.

Reads JSON lines `{"arguments": [...], "environment": {...}, "output": FILE}`; answers `PID` and later `STATUS` (as
waitpid gives it), one a line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    import azure.identity
    import azure.mgmt.compute
    import azure.mgmt.network
    import azure.mgmt.resource.resources
    import azure.mgmt.storage
    import azure.storage.blob  # noqa: F401

    import imagewright.app
    import imagewright.engine.run
    import imagewright.platforms.azure.platform
    import imagewright.template  # noqa: F401
    from imagewright.entry.start import command_line
    from imagewright.platforms.azure import machine

    machine.OFF_LATE = 0  # power-off takes no time here: four seconds less for each of hundreds of builds

    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sys.stdin = Path(os.devnull).open()  # noqa: SIM115
            os.setsid()
            out = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.environ.update(asked["environment"])
            sys.argv = ["imagewright", *asked["arguments"]]
            code = 70
            try:
                code = int(command_line() or 0)
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _answer(pid)
        _answer(os.waitpid(pid, 0)[1])


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
