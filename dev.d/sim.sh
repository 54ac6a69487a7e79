#!/usr/bin/env bash
# sim [--seeds N] [--first N] | explore [--deep]: groups of Raft cores under faults, N of them; or the exhaustive exploration of small groups
. dev.d/common.sh

if [[ ${1:-} == explore ]]; then
  shift
  build release core_explore
  exec build/release/tests/sim/core_explore "$@"
fi
build release core_groups
exec build/release/tests/sim/core_groups "$@"
