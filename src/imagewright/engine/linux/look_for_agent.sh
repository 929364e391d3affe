#!/bin/sh
# What this prints is a warning about the source.
[ -x /usr/sbin/waagent ] || command -v waagent >/dev/null ||
  echo 'the source has no Azure agent, which the deprovisioning script calls at the end: the build will fail there'
