"""From a Run to the exact bytes and the exact command on a Linux guest. Pure.

AIB performs a Shell customizer as packer's shell provisioner does: the script is put into /tmp, made executable,
run with PACKER_BUILD_NAME and PACKER_BUILDER_TYPE set, and removed. Here it is overwritten in place first: a secret
in it would stay in the free blocks of the image.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from imagewright.core.actions import Run, RunAs

ENVIRONMENT = (("PACKER_BUILD_NAME", "imagewright"), ("PACKER_BUILDER_TYPE", "azure-arm"))

RECEIVE = "umask 077 && cat > {path}"

WAIT_WHILE_STOPPING = "while [ -e /run/nologin ]; do sleep 1; done"
"""A script may have asked for a reboot and ended well; what comes next waits for the connection to drop."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Send `content` to the standard input of `receive`, then run `execute`; its exit status is the script's."""

    content: bytes
    receive: str
    execute: str


def prepare(run: Run, content: bytes, number: int) -> Prepared:
    """`number` tells the scripts of one build apart, as packer's `/tmp/script_<n>.sh` does."""
    path = f"/tmp/script_{number}.sh"
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in (*ENVIRONMENT, *run.environment))
    command = f"{environment} {path}"
    if run.run_as is not RunAs.BUILD_USER:
        command = f"sudo -n env {command}"
    content = unix_lines(content)
    remove = f"printf '%*s' {len(content)} '' 1<>{path}; rm -f {path}"
    execute = f"chmod 0755 {path} && chmod +x {path}; {command}; status=$?; {remove}; exit $status"
    return Prepared(content, f"{WAIT_WHILE_STOPPING}; {RECEIVE.format(path=path)}", execute)


def unix_lines(script: bytes) -> bytes:
    return script.replace(b"\r\n", b"\n")
