# The guest's first process: first boot, then the SSH server, until somebody asks for a reboot or power-off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
cd /
echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
mkfifo -m 600 /run/power
if [ -e /run/armsim/first.sh ]; then
    /bin/sh /run/armsim/first.sh >/var/log/cloud-init-output.log 2>&1
    mv /run/armsim/first.sh /run/armsim/first.done
fi
ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || ssh-keygen -q -N "" -t ed25519 -f /etc/ssh/ssh_host_ed25519_key
if [ -s /run/armsim/addresses ]; then
    set --
    while read -r address; do set -- "$@" -o "ListenAddress=$address"; done </run/armsim/addresses
    /usr/sbin/sshd -D -E /var/log/sshd.log "$@" &
fi
: >/run/armsim/ready
read -r verb </run/power
echo "$verb" >/run/armsim/verb
