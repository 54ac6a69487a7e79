#!/usr/bin/env bash
# barn: the Barn's core, journal and state of three members in one process, without RPC
. dev.d/common.sh
build release barn_core_bench
exec build/release/src/control/server/barn_core_bench "$@"
