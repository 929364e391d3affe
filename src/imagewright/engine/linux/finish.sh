#!/bin/sh
# The last thing that is done in a Linux guest, as root: the user's deprovisioning script, then what removes this
# build's own traces. Every fork costs a tenth of a second under emulation, so there are few.

# A platform may tell more about its machine here: see the seed of the local platform.
# shellcheck disable=SC2034 # last.sh, which is appended, reads it
power_off=
# shellcheck disable=SC1091
[ -f /run/imagewright/environment ] && . /run/imagewright/environment

script=/tmp/DeprovisioningScript.sh
if [ -f "$script" ]; then
  echo "Found $script:"
  cat "$script"
  IFS= read -r first < "$script"
  case "$first" in
    '#!'*) chmod 0755 "$script" && "$script" ;;
    *) sh "$script" ;;
  esac
  code=$?
  if [ "$code" -eq 127 ] && [ ! -x /usr/sbin/waagent ]; then
    echo 'The image has no Azure agent, which its deprovisioning script calls: install it with a Shell customizer' >&2
    echo '(waagent on Debian, walinuxagent on Ubuntu, WALinuxAgent elsewhere), or put another script in its place.' >&2
  fi
  [ "$code" -eq 0 ] || exit "$code"
else
  echo "The deprovisioning script $script is gone: a customizer deleted it." >&2
  echo 'The image is cleaned all the same; the Azure agent was not asked to deprovision.' >&2
fi

user="${SUDO_USER:-root}"
failed=
cd / || exit

# What is mounted where things are deleted is let go of: only this image's own file systems are cleaned.
while read -r _ place _; do
  case "$place" in /tmp/* | /var/tmp/* | "/home/$user"/*) set -- "$place" "$@" ;; esac
done < /proc/mounts
for place in "$@"; do umount -l "$(printf '%b' "$place")"; done
set --

# Nobody writes logs any more, so that what is deleted below leaves no line behind.
[ -x /usr/sbin/rsyslogd ] && systemctl --quiet stop syslog.socket rsyslog.service 2>/dev/null
[ -s /run/auditd.pid ] && kill "$(cat /run/auditd.pid)"

# What is large goes first: the rest needs room. The journal goes on in memory, so that no file of it comes back.
[ -d /var/log/journal ] && journalctl --relinquish-var 2>/dev/null
rm -rf /var/log/journal/* /var/log/cloud-init* /var/log/waagent.log /var/log/azure \
  /var/log/*.gz /var/log/*.[0-9] /var/log/*.old /var/log/*.xz /var/log/*/*.gz /var/log/*/*.[0-9]
[ -d /var/log/journal ] && mount -t tmpfs -o size=16m tmpfs /var/log/journal 2>/dev/null
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' -exec rm -rf {} + 2>/dev/null
empty_logs() { find /var/log -path /var/log/journal -prune -o -type f -size +0 -exec truncate -s 0 {} +; }
empty_logs

# Package sources that were changed for this build, and by no customizer since, become what they were.
if [ -d /var/lib/imagewright/after ]; then
  for file in /var/lib/imagewright/after/* /var/lib/imagewright/after/*/*; do
    [ -f "$file" ] || continue
    name="${file#/var/lib/imagewright/after/}"
    cmp -s "$file" "/etc/apt/$name" || continue
    if [ -f "/var/lib/imagewright/before/$name" ]; then
      cat "/var/lib/imagewright/before/$name" > "/etc/apt/$name" || failed=yes
    else
      set -- "$@" "/etc/apt/$name"
    fi
  done
fi

# The build user, its key (cloud-init gives root a copy) and its right to sudo.
traces='imagewright-build$'
keys=/root/.ssh/authorized_keys
[ -f "$keys" ] && sed -i "/$traces/d" "$keys"
[ -f "$keys" ] && [ ! -s "$keys" ] && set -- "$@" "$keys"
if [ "$user" != root ]; then
  traces="$traces|^${user}[ :]"
  userdel -f -r "$user" > /run/userdel.log 2>&1
  sed -i "/^${user}[ :]/d; /^# User rules for ${user}\$/d" /etc/sudoers.d/* /etc/subuid /etc/subgid 2>/dev/null
  set -- "$@" "/home/$user"
  rules=/etc/sudoers.d/90-cloud-init-users
  if [ -f "$rules" ]; then
    left=
    while IFS= read -r line; do
      case "$line" in '' | '#'*) ;; *) left=yes ;; esac
    done < "$rules"
    [ -n "$left" ] || set -- "$@" "$rules"
  fi
fi

# What made this guest itself: identity, keys, leases, names, histories.
true > /etc/machine-id
echo localhost > /etc/hostname || failed=yes
[ ! -L /var/lib/dbus/machine-id ] && set -- "$@" /var/lib/dbus/machine-id
[ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ] && true > /etc/resolv.conf
rm -rf "$@" \
  /var/lib/imagewright /var/lib/cloud/* /run/cloud-init \
  /etc/ssh/ssh_host_* \
  /etc/cloud/cloud.cfg.d/zz-imagewright-resume.cfg \
  /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* /etc/systemd/network/10-cloud-init-* \
  /etc/NetworkManager/system-connections/cloud-init-* /etc/sysconfig/network-scripts/ifcfg-eth* \
  /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/75-persistent-net-generator.rules \
  /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/NetworkManager/*.lease \
  /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- \
  /etc/.resolv.conf.systemd-resolved.bak "/var/lib/systemd/linger/$user" \
  /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/systemd/timesync/clock \
  /root/.bash_history /root/.lesshst /root/.viminfo /home/*/.bash_history \
  /var/log/wtmp /var/log/btmp /var/log/lastlog \
  /var/lib/waagent/*.xml /var/lib/waagent/*.pem /var/lib/waagent/*.prv || failed=yes

empty_logs

# An image that lets its build in, or that is somebody already, is none.
held=$(grep -lsE "$traces" /etc/passwd /etc/shadow /etc/subuid /etc/subgid /etc/sudoers.d/* "$keys")
[ -s /etc/machine-id ] && held="$held /etc/machine-id"
if [ -n "$held$failed" ]; then
  [ -s /run/userdel.log ] && cat /run/userdel.log >&2
  # shellcheck disable=SC2086 # the names stand in one line
  echo The image could not be cleaned of its build: ${held:-see the lines above}${held:+ still tells of it} >&2
  exit 1
fi
