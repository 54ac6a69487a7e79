#!/usr/bin/env bash
# barn: the Barn against etcd; commits, failover, restart, a new member; its core without RPC
. dev.d/common.sh
build release runi runi-server barn_load barn_core_bench barn_workload
exec python3 -B bench/barn.py "$@"
