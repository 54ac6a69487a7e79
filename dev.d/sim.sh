#!/usr/bin/env bash
# sim [--seeds N] [--from SEED] …: whole clusters under faults, a seed each; sim groups …: groups of Raft cores alone; sim explore [--deep]: small groups exhaustively
. dev.d/common.sh

case ${1:-} in
  explore)
    shift
    build release core_explore
    exec build/release/tests/sim/core_explore "$@"
    ;;
  groups)
    shift
    build release core_groups
    exec build/release/tests/sim/core_groups "$@"
    ;;
  *)
    build release runink-sim
    exec build/release/src/testing/sim/runink-sim --jobs "$(jobs_wanted)" "$@"
    ;;
esac
