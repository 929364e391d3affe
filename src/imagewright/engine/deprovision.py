"""How an image is made general: AIB's deprovision contract, then the traces of the build itself.

AIB puts a default script in place *before* the first customizer and runs whatever stands there at the end, so that a
template may edit or replace it. What our own build left behind (its user, key, logs, the guest's identity) is removed
afterwards, whatever the user's script does.
"""

from __future__ import annotations

from imagewright.core.actions import Action, Inline, Run, RunAs, Shell, Upload
from imagewright.core.errors import PlatformError
from imagewright.core.plan import OsType

LINUX_PATH = "/tmp/DeprovisioningScript.sh"

LINUX_DEFAULT = """\
WAAGENT=/usr/sbin/waagent
waagent -version 1> /dev/null 2>&1
if [ $? -eq 0 ]; then
  WAAGENT=waagent
fi
$WAAGENT -force -deprovision+user && export HISTSIZE=0 && sync
"""

LINUX_RUN = f"""\
#!/bin/sh
if [ -f {LINUX_PATH} ]; then
  echo 'Found {LINUX_PATH}:'
  cat {LINUX_PATH}
  exec sh {LINUX_PATH}
fi
echo 'The deprovisioning script {LINUX_PATH} is gone: a customizer deleted it.' >&2
echo 'The image is cleaned all the same; the Azure agent was not asked to deprovision.' >&2
"""

LINUX_SCRUB = """\
#!/bin/sh
# Removes what this build, not its customizers, left in the guest. Runs last, as root.
user="${SUDO_USER:-}"
rm -rf /var/lib/cloud/* /run/cloud-init
rm -f /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* /etc/systemd/network/10-cloud-init-*
rm -f /etc/NetworkManager/system-connections/cloud-init-* /etc/sysconfig/network-scripts/ifcfg-eth*
rm -f /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/75-persistent-net-generator.rules
rm -f /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/NetworkManager/*.lease
# Package sources that the seed changed for this build, and no customizer since, become what they were.
if [ -d /run/imagewright/after ]; then
  (cd /run/imagewright/after && find . -type f) | while read -r file; do
    cmp -s "/run/imagewright/after/$file" "/etc/apt/$file" || continue
    if [ -f "/run/imagewright/before/$file" ]; then
      cat "/run/imagewright/before/$file" > "/etc/apt/$file"
    else
      rm -f "/etc/apt/$file"
    fi
  done
fi
rm -f /etc/ssh/ssh_host_*
for keys in /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys; do
  if [ -f "$keys" ]; then
    sed -i '/imagewright-build$/d' "$keys"
    [ -s "$keys" ] || rm -f "$keys"
  fi
done
if [ -n "$user" ] && [ "$user" != root ]; then
  userdel -f -r "$user" >/dev/null 2>&1
  groupdel "$user" >/dev/null 2>&1
  for file in /etc/sudoers.d/*; do
    [ -f "$file" ] && grep -q "^$user " "$file" && sed -i "/^$user /d; /[Uu]ser rules for $user\\$/d" "$file"
  done
  [ -f /etc/sudoers.d/90-cloud-init-users ] && ! grep -q '^[^#]' /etc/sudoers.d/90-cloud-init-users &&
    rm -f /etc/sudoers.d/90-cloud-init-users
  for file in /etc/subuid /etc/subgid; do [ -f "$file" ] && sed -i "/^$user:/d" "$file"; done
fi
rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-
: > /etc/machine-id
[ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ] && rm -f /var/lib/dbus/machine-id
[ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ] && : > /etc/resolv.conf
echo localhost > /etc/hostname
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/systemd/timesync/clock
rm -f /root/.bash_history /root/.lesshst /root/.viminfo /home/*/.bash_history
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' -exec rm -rf {} + 2>/dev/null
find /var/log -type f \\( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' -o -name '*.xz' \\) -delete
rm -rf /var/log/journal/* /var/log/cloud-init* /var/log/waagent.log /var/log/azure
rm -rf /var/lib/waagent/*.xml /var/lib/waagent/*.pem /var/lib/waagent/*.prv
find /var/log -type f -exec truncate -s 0 {} +
"""

LINUX_LAST = """\
# What the shutdown itself still writes (a login record, a random seed, a clock) goes to memory.
mount -t tmpfs -o size=16m tmpfs /var/log
[ -d /var/lib/systemd ] && mount -t tmpfs -o size=1m tmpfs /var/lib/systemd
sync
exit 0
"""

LINUX_TRIM = """\
# Give freed blocks back to the disk, so that the image holds no deleted data.
sync
fstrim -a 2>/dev/null || fstrim / 2>/dev/null
"""

LINUX_VM_BOOT = """\
#!/bin/sh
# `optimize.vmBoot`: a smaller image that comes up sooner.
if command -v apt-get >/dev/null 2>&1; then apt-get clean; rm -f /var/cache/apt/*.bin; fi
if command -v dnf >/dev/null 2>&1; then dnf -q clean all; fi
if command -v zypper >/dev/null 2>&1; then zypper -q clean --all; fi
rm -rf /var/cache/man/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/crash/* /var/lib/systemd/coredump/*
if [ -f /etc/default/grub ] && command -v update-grub >/dev/null 2>&1; then
  if ! grep -q '^GRUB_TIMEOUT=0$' /etc/default/grub; then
    sed -i '/^GRUB_TIMEOUT=/d' /etc/default/grub
    echo 'GRUB_TIMEOUT=0' >> /etc/default/grub
    update-grub 2>&1
  fi
fi
echo "optimized: $(df -h / | tail -n 1 | tr -s ' ' | cut -d' ' -f3) used on /"
"""


def prepare(os_type: OsType) -> tuple[Action, ...]:
    """Done before the first customizer: the deprovisioning script is put where a customizer may find it."""
    _linux_only(os_type)
    return (Upload(Inline(LINUX_DEFAULT), LINUX_PATH, mode=0o755),)


def deprovision(os_type: OsType) -> tuple[Action, ...]:
    """The user's contract: run whatever stands in the deprovisioning script's place."""
    _linux_only(os_type)
    return (Run(Inline(LINUX_RUN), Shell.SH, RunAs.ELEVATED),)


def scrub(os_type: OsType, *, trim: bool) -> tuple[Action, ...]:
    """The very last thing: after it nobody can log in any more."""
    _linux_only(os_type)
    script = LINUX_SCRUB + (LINUX_TRIM if trim else "") + LINUX_LAST
    return (Run(Inline(script), Shell.SH, RunAs.ELEVATED),)


def optimize_boot(os_type: OsType) -> tuple[Action, ...]:
    _linux_only(os_type)
    return (Run(Inline(LINUX_VM_BOOT), Shell.SH, RunAs.ELEVATED),)


def _linux_only(os_type: OsType) -> None:
    if os_type is not OsType.LINUX:
        raise PlatformError(
            "Windows images cannot be built yet", hint="see the table of what is supported in the README"
        )
