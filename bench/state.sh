#!/usr/bin/env bash
# state: peak memory and spilled bytes of the operators that hold rows, at 10 M and 100 M keys, with 64 MiB
. dev.d/common.sh
build release runi
exec python3 bench/state.py "$@"
