#!/bin/sh
# Stands before the Azure agent while a local build deprovisions. The agent provisioned nothing here, cloud-init did, so
# what is left of `waagent -deprovision+user` is a handful of deletions; the agent's Python needs seconds for them under
# emulation. Any other command, and any machine that the agent did provision, goes to the agent itself.
agent=/usr/sbin/waagent
[ -x "$agent" ] || { echo 'waagent: not found' >&2; exit 127; }
case " $* " in
  *' -version '* | *' --version '*) exit 0 ;;
  *deprovision*) [ -e /var/lib/waagent/ovf-env.xml ] && exec "$agent" "$@" ;;
  *) exec "$agent" "$@" ;;
esac
echo 'WARNING! All SSH host key pairs will be deleted.'
echo 'WARNING! Cached DHCP leases will be deleted.'
echo 'WARNING! /etc/resolv.conf will be deleted.'
set --
[ -L /etc/resolv.conf ] || set -- /etc/resolv.conf
if grep -q '^Provisioning.DeleteRootPassword=y' /etc/waagent.conf; then
  echo 'WARNING! root password will be disabled. You will not be able to login as root.'
  sed -i 's/^root:[^:]*:/root:*LOCK*:/' /etc/shadow
fi
rm -rf "$@" /etc/ssh/ssh_host_* /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/dhcpcd/* /var/lib/waagent/* \
  /var/log/waagent.log
