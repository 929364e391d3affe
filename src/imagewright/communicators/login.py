"""Where a guest is reached over SSH, as whom, and what it shows to be known by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """`host_key` is an OpenSSH public key line (`ssh-ed25519 AAAA…`), `private_key` is PEM."""

    host: str
    port: int
    user: str
    private_key: str
    host_key: str
