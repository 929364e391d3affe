# Make the root filesystem out of the new root "$1", inside the disk that is standard input, at FS_OFFSET. The disk is
# handed over open because the namespace's root may not be allowed to walk to where it lies.
set -eu
tree=$1/mnt
if mount --bind "$1" "$tree" 2>/dev/null; then # shows the new root without what is mounted in it (/proc, /sys)
    trap 'umount "$tree/dev" "$tree/run" "$tree/tmp" "$tree"' EXIT
    for used in dev run tmp; do # by mmdebstrap, which still needs what is in them
        mount -t tmpfs -o "mode=$(stat -c %a "$tree/$used")" tmpfs "$tree/$used"
    done
elif mountpoint -q "$1/proc"; then
    echo "cannot look behind the mounts of $1" >&2
    exit 1
else
    tree=$1
fi
own=$tree/etc/apt/apt.conf.d/00mmdebstrap
rm -f "$own"
# What mmdebstrap put there so that no service starts during the installation; it misses neither.
rm -f "$tree/usr/sbin/policy-rc.d"
if [ -e "$tree/sbin/start-stop-daemon.REAL" ]; then
    mv "$tree/sbin/start-stop-daemon.REAL" "$tree/sbin/start-stop-daemon"
fi
mke2fs -q -F -t ext4 -b 4096 -m 5 -L root -U "$ROOT_UUID" -O "none,$FS_FEATURES" \
    -E "offset=$FS_OFFSET,hash_seed=$ROOT_UUID,lazy_itable_init=0,lazy_journal_init=0,nodiscard" \
    -d "$tree" /proc/self/fd/0 "${FS_SIZE}k"
touch "$own" # mmdebstrap insists on deleting it
