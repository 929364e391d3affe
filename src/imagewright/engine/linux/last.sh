sync
# Every process is asked to end and given its time, the file systems are unmounted; only the units' order is not kept.
# The connection ends first: whoever waits for the exit status of this script has it then.
if [ "$power_off" = quick ]; then
  server=$PPID
  while read -r _ name _ parent _ < "/proc/$server/stat" && [ "$server" -gt 1 ]; do
    case "$name" in '(sshd'*) break ;; esac
    server=$parent
  done
  (trap '' HUP; while [ -d "/proc/$server" ]; do sleep 0.1; done; systemctl --force poweroff) \
    >/dev/null 2>&1 </dev/null &
fi
exit 0
