"""The keys of one machine, and the two ways they reach its guest: cloud-init, or a script that the VM agent runs."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from imagewright.communicators.keys import KeyPair, new_key_pair
from imagewright.communicators.login import Login

USER = "imagewright"
KEY_COMMENT = "imagewright-build"
"""Ends the public key's line, so that the scrub finds it in every authorized_keys file."""

ADMIT = """\
#!/bin/sh
# A machine made from a checkpoint gets a fresh key pair and a fresh host key; the old ones are worth nothing.
set -eu
id -u {user} >/dev/null 2>&1 || useradd -m -s /bin/bash {user}
usermod -p '*' {user} 2>/dev/null || true
echo '{user} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-imagewright.new
chmod 440 /etc/sudoers.d/90-imagewright.new
mv /etc/sudoers.d/90-imagewright.new /etc/sudoers.d/90-cloud-init-users
home=$(getent passwd {user} | cut -d: -f6)
group=$(id -gn {user})
install -d -m 700 -o {user} -g "$group" "$home/.ssh"
printf '%s\\n' '{key}' > "$home/.ssh/authorized_keys"
chmod 600 "$home/.ssh/authorized_keys"
chown {user}:"$group" "$home/.ssh/authorized_keys"
umask 077
rm -f /etc/ssh/ssh_host_*
printf '%s' "$HOST_KEY" | base64 -d > /etc/ssh/ssh_host_ed25519_key
printf '%s\\n' '{host}' > /etc/ssh/ssh_host_ed25519_key.pub
chmod 644 /etc/ssh/ssh_host_ed25519_key.pub
unset HOST_KEY
if [ -d /run/systemd/system ]; then systemctl restart ssh 2>/dev/null || systemctl restart sshd
else pkill -HUP -o -x sshd || true; fi
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The build user's key pair, and the host key that the guest shall answer with."""

    user: KeyPair
    host: KeyPair

    def login(self, host: str) -> Login:
        return Login(host, 22, USER, self.user.private, self.host.public)

    def custom_data(self) -> str:
        """cloud-config that puts the host key in place before the SSH server starts, base64; JSON is YAML."""
        config = {
            "ssh_pwauth": False,
            "ssh_deletekeys": True,
            "ssh_genkeytypes": [],
            "ssh_keys": {"ed25519_private": self.host.private, "ed25519_public": self.host.public},
            "ssh": {"emit_keys_to_console": False},
            "no_ssh_fingerprints": True,
        }
        return base64.b64encode(f"#cloud-config\n{json.dumps(config)}\n".encode()).decode()

    def admit_script(self) -> str:
        """What lets these keys into a guest that ran before; $HOST_KEY holds the host key's private half, base64."""
        return ADMIT.format(user=USER, key=self.user.public, host=self.host.public)

    def host_secret(self) -> str:
        return base64.b64encode(self.host.private.encode()).decode()


def new_keys() -> Keys:
    return Keys(new_key_pair(KEY_COMMENT), new_key_pair("imagewright-host"))
