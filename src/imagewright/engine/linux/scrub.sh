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
    [ -f "$file" ] && grep -q "^$user " "$file" && sed -i "/^$user /d; /[Uu]ser rules for $user\$/d" "$file"
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
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' -o -name '*.xz' \) -delete
rm -rf /var/log/journal/* /var/log/cloud-init* /var/log/waagent.log /var/log/azure
rm -rf /var/lib/waagent/*.xml /var/lib/waagent/*.pem /var/lib/waagent/*.prv
find /var/log -type f -exec truncate -s 0 {} +
