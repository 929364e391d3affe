"""How a person reaches a machine that is kept: the files that `ssh` takes, and its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imagewright.communicators.login import Login


@dataclass(frozen=True, slots=True)
class ByHand:
    """The host's key is among the files: nobody shall have to trust it on first use, and a key that another machine
    had at the same place is no matter."""

    login: Login
    key: Path
    known_hosts: Path

    def write_files(self) -> None:
        host = self.login.host if self.login.port == 22 else f"[{self.login.host}]:{self.login.port}"
        self.key.touch(mode=0o600)
        self.key.write_text(self.login.private_key)
        self.known_hosts.write_text(f"{host} {self.login.host_key.strip()}\n")

    @property
    def command(self) -> str:
        port = "" if self.login.port == 22 else f" -p {self.login.port}"
        where = f"{self.login.user}@{self.login.host}"
        return f"ssh -i {self.key} -o UserKnownHostsFile={self.known_hosts}{port} {where}"
