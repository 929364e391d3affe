#!/bin/sh
# `optimize.vmBoot`: a smaller image that comes up sooner.
if command -v apt-get >/dev/null 2>&1; then apt-get clean; rm -f /var/cache/apt/*.bin; fi
if command -v dnf >/dev/null 2>&1; then dnf -q clean all; fi
if command -v zypper >/dev/null 2>&1; then zypper -q clean --all; fi
rm -rf /var/cache/man/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/crash/* /var/lib/systemd/coredump/*
# shellcheck disable=SC1090,SC1091 # read as grub-mkconfig reads them
waits=$(for file in /etc/default/grub /etc/default/grub.d/*.cfg; do [ ! -f "$file" ] || . "$file"; done; echo "${GRUB_TIMEOUT:-5}")
for config in /boot/grub/grub.cfg /boot/grub2/grub.cfg; do
  if [ -f "$config" ] && [ -f /etc/default/grub ] && [ "$waits" != 0 ]; then
    if [ -d /etc/default/grub.d ]; then
      echo 'GRUB_TIMEOUT=0' > /etc/default/grub.d/zz-timeout.cfg # read last: others there may set it too
    else
      sed -i '/^GRUB_TIMEOUT=/d' /etc/default/grub
      echo 'GRUB_TIMEOUT=0' >> /etc/default/grub
    fi
    "$(command -v grub-mkconfig || command -v grub2-mkconfig)" -o "$config" 2>&1
  fi
done
echo "optimized: $(df -h / | tail -n 1 | tr -s ' ' | cut -d' ' -f3) used on /"
