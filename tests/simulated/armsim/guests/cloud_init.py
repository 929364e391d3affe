"""First boot: from osProfile, custom data and the parts of cloud-config that build VMs use, to one shell script."""

from __future__ import annotations

import base64
import binascii
import email
import email.message
import shlex
from typing import Any

import yaml


def first_boot(profile: dict[str, Any], user_data: str | None = None) -> bytes:
    """A root shell script. `profile` is the VM's osProfile, `user_data` properties.userData (base64)."""
    lines = [
        "set -u",
        f"echo {shlex.quote(profile.get('computerName', 'vm'))} >/etc/hostname",
        "mkdir -p /var/lib/waagent /var/lib/cloud/instance",
    ]
    linux = profile.get("linuxConfiguration") or {}
    name = profile["adminUsername"]
    lines += _user(name, sudo=True)
    for key in (linux.get("ssh") or {}).get("publicKeys") or []:
        lines += _key(key.get("path") or f"/home/{name}/.ssh/authorized_keys", name, key["keyData"])
    if profile.get("adminPassword"):
        lines.append(f"printf '%s\\n' {shlex.quote(name + ':' + profile['adminPassword'])} | chpasswd")
    custom = profile.get("customData")
    for data in (custom, user_data):
        if data:
            lines += _parts(_decoded(data), name)
    return ("\n".join(lines) + "\n").encode()


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _parts(text: str, admin: str) -> list[str]:
    if text.startswith("Content-Type: multipart"):
        message = email.message_from_string(text)
        lines: list[str] = []
        for part in message.walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                lines += _parts(payload.decode(), admin)
        return lines
    if text.startswith("#cloud-config"):
        return _cloud_config(yaml.safe_load(text) or {}, admin)
    if text.startswith("#!"):
        encoded = base64.b64encode(text.encode()).decode()
        path = "/var/lib/cloud/instance/user-script"
        return [f"printf %s {encoded} | base64 -d >{path}", f"chmod 700 {path}", path]
    return []


def _cloud_config(config: dict[str, Any], admin: str) -> list[str]:
    lines: list[str] = []
    if config.get("ssh_deletekeys", True) or config.get("ssh_keys"):
        lines.append("rm -f /etc/ssh/ssh_host_*")
    for label, text in (config.get("ssh_keys") or {}).items():
        kind, _, half = label.partition("_")
        if half in {"private", "public"}:
            suffix = "_key" if half == "private" else "_key.pub"
            mode = "600" if half == "private" else "644"
            lines += _file(f"/etc/ssh/ssh_host_{kind}{suffix}", text if text.endswith("\n") else text + "\n", mode)
    for user in config.get("users") or []:
        if isinstance(user, dict):
            lines += _user(user["name"], sudo=bool(user.get("sudo")))
            for key in user.get("ssh_authorized_keys") or []:
                lines += _key(f"/home/{user['name']}/.ssh/authorized_keys", user["name"], key)
    for key in config.get("ssh_authorized_keys") or []:
        lines += _key(f"/home/{admin}/.ssh/authorized_keys", admin, key)
    for file in config.get("write_files") or []:
        content = file.get("content", "")
        if file.get("encoding") in {"b64", "base64"}:
            content = base64.b64decode(content).decode("utf-8", "surrogateescape")
        lines += _file(
            file["path"],
            content,
            str(file.get("permissions", "0644")),
            file.get("owner"),
            append=bool(file.get("append")),
        )
    for command in [*(config.get("bootcmd") or []), *(config.get("runcmd") or [])]:
        lines.append(command if isinstance(command, str) else shlex.join(str(word) for word in command))
    return lines


def _user(name: str, *, sudo: bool) -> list[str]:
    quoted = shlex.quote(name)
    lines = [
        f"id -u {quoted} >/dev/null 2>&1 || useradd -m -U -s /bin/bash {quoted}",
        f"usermod -p '*' {quoted}",
        f"echo {quoted} >>/var/lib/waagent/provisioned",
    ]
    if sudo:
        lines.append(f"echo {shlex.quote(name + ' ALL=(ALL) NOPASSWD:ALL')} >>/etc/sudoers.d/90-cloud-init-users")
        lines.append("chmod 440 /etc/sudoers.d/90-cloud-init-users")
    return lines


def _key(path: str, user: str, key: str) -> list[str]:
    where = shlex.quote(path)
    owner = shlex.quote(user)
    return [
        f"install -d -m 700 -o {owner} -g {owner} $(dirname {where})",
        f"printf '%s\\n' {shlex.quote(key.strip())} >>{where}",
        f"chmod 600 {where}; chown {owner}: {where}",
    ]


def _file(path: str, content: str, mode: str, owner: str | None = None, *, append: bool = False) -> list[str]:
    where = shlex.quote(path)
    encoded = base64.b64encode(content.encode("utf-8", "surrogateescape")).decode()
    lines = [
        f"mkdir -p $(dirname {where})",
        f"printf %s {encoded} | base64 -d {'>>' if append else '>'}{where}",
        f"chmod {mode} {where}",
    ]
    return [*lines, f"chown {shlex.quote(owner)} {where}"] if owner else lines


def install_key(user: str, key: str) -> str:
    """What the VMAccess extension does: the user exists, may sudo, and lets this key in."""
    return "\n".join([*_user(user, sudo=True), *_key(f"/home/{user}/.ssh/authorized_keys", user, key)]) + "\n"
