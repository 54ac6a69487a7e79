#!/usr/bin/env bash
# slices: starts of slices against a bare process, bubblewrap and runc; rates; what a parked one costs (root)
. dev.d/common.sh
build release runi runi-slice slices_payload slices_bench
exec build/release/bench/slices/slices_bench --runi build/release/apps/runi/runi \
  --payload build/release/bench/slices/slices_payload "$@"
