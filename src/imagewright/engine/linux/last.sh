sync
# Every process is asked to end and given its time, the file systems are unmounted; only the units' order is not kept.
if [ "$power_off" = quick ]; then
  server=$PPID
  while read -r _ name _ parent _ < "/proc/$server/stat" && [ "$server" -gt 1 ]; do
    case "$name" in '(sshd'* | '(dropbear'*) break ;; esac
    server=$parent
  done
  if [ "$server" -gt 1 ]; then
    # The connection ends first: whoever waits for the exit status of this script has it then.
    (trap '' HUP; while [ -d "/proc/$server" ]; do sleep 0.1; done; systemctl --force poweroff) \
      >/dev/null 2>&1 </dev/null &
  else
    systemctl --force poweroff
  fi
fi
exit 0
