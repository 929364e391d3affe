# What turns a freshly installed Debian into an image. Run by mmdebstrap outside the new root, which is "$1", as (the
# namespace's) root. ROOT_UUID, ESP_UUID and CODENAME come from debian.py. Settings follow Debian's own cloud images.
set -eu
root=$1

put() { # put PATH: write standard input to the file PATH of the new system
    mkdir -p "$root${1%/*}"
    cat >"$root$1"
}

put /etc/fstab <<EOF
UUID=$ROOT_UUID / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1
UUID=$ESP_UUID /boot/efi vfat umask=0077 0 0
EOF
put /etc/hosts <<EOF
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
EOF
put /etc/default/locale <<EOF
LANG=C.UTF-8
EOF
mkdir -p "$root/boot/efi"

# apt: the public archive, by way of the mirror lists that cloud-init writes anew for each instance
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*
put /etc/apt/sources.list <<EOF
# See /etc/apt/sources.list.d/debian.sources
EOF
echo http://deb.debian.org/debian | put /etc/apt/mirrors/debian.list
echo http://deb.debian.org/debian-security | put /etc/apt/mirrors/debian-security.list
put /etc/apt/sources.list.d/debian.sources <<EOF
Types: deb
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: $CODENAME $CODENAME-updates $CODENAME-backports
Components: main

Types: deb
URIs: mirror+file:///etc/apt/mirrors/debian-security.list
Suites: $CODENAME-security
Components: main
EOF

put /etc/cloud/cloud.cfg.d/01_debian_cloud.cfg <<EOF
apt:
  generate_mirrorlists: true
system_info:
  package_mirrors:
  - arches: [default]
    failsafe:
      primary: http://deb.debian.org/debian
      security: http://deb.debian.org/debian-security
EOF
sed -i 's/^#\?PasswordAuthentication .*/PasswordAuthentication no/' "$root/etc/ssh/sshd_config"
echo 'ClientAliveInterval 120' >>"$root/etc/ssh/sshd_config"
chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-resolved.service
ln -sf /run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
rm -f "$root/etc/.resolv.conf.systemd-resolved.bak" # the host's own: systemd-resolved keeps what it replaces

# GRUB: modules for BIOS, a core image to embed, the signed loaders for UEFI, and the configuration that
# update-grub writes, with a grub-probe that knows the disk which does not exist yet.
put /etc/default/grub.d/15_timeout.cfg <<EOF
GRUB_TIMEOUT=1
GRUB_TIMEOUT_STYLE=countdown
EOF
put /etc/grub.d/enable_cloud </dev/null
pc=$root/boot/grub/i386-pc
mkdir -p "$pc"
cp "$root"/usr/lib/grub/i386-pc/*.mod "$root"/usr/lib/grub/i386-pc/*.lst "$root/usr/lib/grub/i386-pc/boot.img" "$pc"
chroot "$root" grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p '(,gpt1)/boot/grub' biosdisk part_gpt ext2
chroot "$root" grub-editenv /boot/grub/grubenv create
mv "$root/usr/sbin/grub-probe" "$root/usr/sbin/grub-probe.real"
put /usr/sbin/grub-probe <<EOF
#!/bin/sh
case " \$* " in
*target=device*) echo UUID=$ROOT_UUID ;;
*target=fs_uuid*) echo $ROOT_UUID ;;
*target=fs\ *) echo ext2 ;;
*target=partmap*) echo gpt ;;
*target=compatibility_hint*) echo hd0,gpt1 ;;
*target=hints_string*) echo "--hint-bios=hd0,gpt1 --hint-efi=hd0,gpt1 --hint-baremetal=ahci0,gpt1 " ;;
esac
EOF
chmod 755 "$root/usr/sbin/grub-probe"
chroot "$root" grub-mkconfig -o /boot/grub/grub.cfg
mv "$root/usr/sbin/grub-probe.real" "$root/usr/sbin/grub-probe"
grep -q "root=UUID=$ROOT_UUID" "$root/boot/grub/grub.cfg"

# Nothing that belongs to one machine, and nothing that the build left
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root"/var/log/*.log "$root"/var/lib/dpkg/*-old
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/log/apt/*
rm -f "$root"/var/cache/debconf/*-old "$root/var/cache/ldconfig/aux-cache"
: >"$root/etc/machine-id"
: >"$root/etc/hostname"
