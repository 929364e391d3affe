"""The lowest layer of every guest: this machine's own root with everything private hidden, plus a cloud's furniture.

Run as root (`python base.py FOLDER AUTHORITY`): it makes an overlay layer in FOLDER whose directories and whiteouts
hide all of `/` but the programs, and which brings an sshd configuration, waagent, cloud-init and power commands.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

KEPT = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "var"}
FRESH = {
    "home": 0o755,
    "root": 0o700,
    "run": 0o755,
    "dev": 0o755,
    "proc": 0o555,
    "sys": 0o555,
    "tmp": 0o1777,
    "opt": 0o755,
    "mnt": 0o755,
    "media": 0o755,
    "srv": 0o755,
}
HIDDEN = (
    "var/log",
    "var/tmp",
    "var/spool",
    "var/backups",
    "var/mail",
    "var/lib/waagent",
    "var/lib/cloud",
    "etc/ssh",
    "etc/sudoers.d",
    "etc/cloud",
    "usr/local",
)

SSHD = """\
PasswordAuthentication yes
PermitRootLogin prohibit-password
UsePAM no
X11Forwarding no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""

WAAGENT = r"""#!/bin/sh
# What `waagent -force -deprovision[+user]` of Azure's agent does to an image.
case " $* " in *deprovision*) ;; *) echo "waagent: only -deprovision is here" >&2; exit 1 ;; esac
case " $* " in
    *force*) ;;
    *) printf 'Do you want to proceed (y/n)? '; read -r answer; [ "$answer" = y ] || exit 1 ;;
esac
# The agent stops first, and with it its handlers and all that they run; what runs in a unit of its own stays.
rm -rf /var/lib/waagent/run-command-handler
top=$$ chain=
while :; do
    chain="$chain $top"
    while read -r name value; do [ "$name" != PPid: ] || above=$value; done <"/proc/$top/status"
    [ "$above" -gt 1 ] || break
    top=$above
done
! tr '\0' '\n' <"/proc/$top/environ" | grep -qx ARMSIM_AGENT=1 || kill -KILL $chain
rm -f /etc/ssh/ssh_host_* /etc/sudoers.d/90-cloud-init-users /root/.bash_history
sed -i 's/^root:[^:]*:/root:!:/' /etc/shadow
case " $* " in *+user*)
    while read -r user; do userdel -f -r "$user" 2>/dev/null; done </var/lib/waagent/provisioned ;;
esac
rm -rf /var/lib/waagent /var/lib/cloud /var/log/cloud-init-output.log
echo localhost.localdomain >/etc/hostname
"""

POWER = r"""#!/bin/sh
case "$0 $*" in
    *reboot*|*shutdown*\ -r*) verb=reboot ;;
    *poweroff*|*halt*|*shutdown*) verb=poweroff ;;
    *is-system-running*) echo running; exit 0 ;;
    *systemctl\ restart\ ssh*) pkill -HUP -o -x sshd; exit 0 ;;
    *) exit 0 ;;
esac
(sleep 0.2; echo "$verb" >/run/power) >/dev/null 2>&1 </dev/null &
"""

SYSTEMD_RUN = r"""#!/bin/sh
# A transient unit: no child of its caller, no heir of its environment. Waits, and ends as it ends.
[ "$1" != --help ] || { echo "--collect --pipe --wait"; exit 0; }
while :; do case "$1" in -*) shift ;; *) break ;; esac; done
place=$(mktemp -d /run/unit.XXXXXX) && mkfifo "$place/status" || exit
unit='place=$1; shift; env -i -C / PATH="$PATH" LANG="$LANG" "$@"; echo $? >"$place/status"'
exec 3<&0
(setsid env -u ARMSIM_AGENT sh -c "$unit" sh "$place" "$@" <&3 &)
read -r status <"$place/status"
rm -rf "$place"
exit "$status"
"""

CLOUD_INIT = r"""#!/bin/sh
case "$1" in
    status) echo "status: done" ;;
    clean) rm -rf /var/lib/cloud ;;
esac
"""


def make(folder: Path, authority: Path) -> None:
    for entry in Path("/").iterdir():
        target = folder / entry.name
        if entry.name in FRESH:
            _opaque(target, FRESH[entry.name])
        elif entry.is_symlink() or entry.name in KEPT:
            continue
        else:
            os.mknod(target, stat.S_IFCHR, 0)
    for name in HIDDEN:
        _opaque(folder / name, 0o1777 if name == "var/tmp" else 0o755)
    _accounts(folder / "etc")
    _write(folder / "etc/ssh/sshd_config", SSHD)
    for moduli in Path("/etc/ssh").glob("moduli"):
        shutil.copy(moduli, folder / "etc/ssh/moduli")
    _write(
        folder / "etc/sudoers.d/00-keep",
        ('Defaults !fqdn\nDefaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"\n'),
        0o440,
    )
    for name in ("bin", "sbin", "lib", "share"):
        (folder / "usr/local" / name).mkdir(parents=True, exist_ok=True)
    _write(folder / "usr/sbin/waagent", WAAGENT, 0o755)
    _write(folder / "usr/bin/cloud-init", CLOUD_INIT, 0o755)
    for name in ("reboot", "poweroff", "halt", "shutdown"):
        _write(folder / "usr/sbin" / name, POWER, 0o755)
    _write(folder / "usr/bin/systemctl", POWER, 0o755)
    _write(folder / "usr/bin/systemd-run", SYSTEMD_RUN, 0o755)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    known = bundle.read_bytes() if bundle.exists() else b""
    _write(folder / "etc/ssl/certs/ca-certificates.crt", (known + authority.read_bytes()).decode())


def _opaque(path: Path, mode: int) -> None:
    """A directory whose lower layers do not show through."""
    path.mkdir(parents=True, exist_ok=True)
    os.setxattr(path, "trusted.overlay.opaque", b"y")
    path.chmod(mode)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _accounts(etc: Path) -> None:
    """System accounts only, all without a password."""
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if _system(line)]
    names = [line.split(":")[0] for line in users]
    _write(etc / "passwd", "\n".join(users) + "\n")
    _write(etc / "shadow", "".join(f"{name}:*:19000:0:99999:7:::\n" for name in names), 0o640)
    groups = [line for line in Path("/etc/group").read_text().splitlines() if _system(line)]
    _write(etc / "group", "\n".join(groups) + "\n")
    _write(etc / "gshadow", "".join(f"{line.split(':')[0]}:*::\n" for line in groups), 0o640)
    for name in ("subuid", "subgid"):
        _write(etc / name, "")


def _system(line: str) -> bool:
    number = int(line.split(":")[2])
    return number < 1000 or number >= 65534


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
