#!/usr/bin/env bash
# data: the engine against DuckDB, jq and Miller on the same work; memory, checks and start-up
. dev.d/common.sh
build release runi expr_rules_bench
exec python3 bench/data.py "$@"
