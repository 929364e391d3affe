#!/bin/sh
# Runs as root in fresh mount, pid, uts and ipc namespaces: mounts the guest's root and becomes its first process.
# boot.sh ROOT BASE DISK WORK RUN NAME: RUN holds what the host and the guest share (first.sh, addresses, pid).
set -eu
root=$1 base=$2 disk=$3 work=$4 run=$5 name=$6
read -r outer rest </proc/self/stat
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$base:/,upperdir=$disk,workdir=$work" "$root"
find "$root/tmp" -mindepth 1 -delete # as systemd-tmpfiles does at every boot, or a tmpfs
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 755 "$root/run/sshd" "$root/run/lock" "$root/run/armsim" "$root/run/systemd" "$root/run/systemd/system"
mount --bind "$run" "$root/run/armsim"
hostname "$name"
echo "$outer" >"$run/pid"
exec chroot "$root" /bin/sh /run/armsim/init.sh
