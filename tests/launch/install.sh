#!/usr/bin/env bash
# What Debian must bring for make test-engines; its services are not started.
set -euo pipefail
if ! { command -v slurmctld && command -v slurmd && command -v munged; } >/dev/null; then
  apt-get update -qq
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    munge slurm-wlm
fi
