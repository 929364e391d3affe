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
