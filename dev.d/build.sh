#!/usr/bin/env bash
# build [PRESET] [TARGET...]: release by default; also debug, asan, tsan, fuzz
. dev.d/common.sh
bash dev.d/setup.sh
preset=${1:-release}
[[ $# -gt 0 ]] && shift
build "$preset" "$@"
[[ $preset == release && $# -eq 0 ]] && say "done: build/release/apps/runi/runi --help"
exit 0
