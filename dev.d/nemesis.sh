#!/usr/bin/env bash
# nemesis [--minutes N | --long] [--seed N] …: real members in network namespaces under kills, cuts, pauses, transfers and changes; answers are checked
. dev.d/common.sh
build release runi runi-server barn_workload
exec python3 -B tests/barn/nemesis.py build/release/apps/runi/runi build/release/tests/barn/workload/barn_workload "$@"
