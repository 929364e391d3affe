sync
# Every process is asked to end and given its time, the file systems are unmounted; only the units' order is not kept.
if [ "$power_off" = quick ] && [ -d /run/systemd/system ]; then
  (sleep 0.3; systemctl --force poweroff) >/dev/null 2>&1 </dev/null &
fi
exit 0
