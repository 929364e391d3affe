#!/bin/sh
if [ -f /tmp/DeprovisioningScript.sh ]; then
  echo 'Found /tmp/DeprovisioningScript.sh:'
  cat /tmp/DeprovisioningScript.sh
  exec sh /tmp/DeprovisioningScript.sh
fi
echo 'The deprovisioning script /tmp/DeprovisioningScript.sh is gone: a customizer deleted it.' >&2
echo 'The image is cleaned all the same; the Azure agent was not asked to deprovision.' >&2
