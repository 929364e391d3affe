# What the journal still writes until the end goes to memory.
[ -d /var/log/journal ] && mount -t tmpfs -o size=16m tmpfs /var/log/journal 2>/dev/null
sync
# Every process is asked to end and given its time, the file systems are unmounted; only the units' order is not kept.
if [ "$power_off" = quick ] && [ -d /run/systemd/system ]; then
  (sleep 0.3; systemctl --force poweroff) >/dev/null 2>&1 </dev/null &
fi
exit 0
