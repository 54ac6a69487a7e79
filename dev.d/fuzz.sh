#!/usr/bin/env bash
# fuzz [smoke | NAME [SECONDS]]: every fuzz target briefly with GCC, or one of them for long with libFuzzer
. dev.d/common.sh

if [[ ${1:-smoke} == smoke ]]; then
  build release fuzz_targets
  ctest --test-dir build/release -L fuzz --output-on-failure -j "$(jobs_wanted)"
  exit
fi
name=${1%_fuzz}_fuzz
seconds=${2:-60}
build fuzz "$name"
corpus=build/fuzz/corpus/$name
mkdir -p "$corpus"
say "$name for $seconds s; new inputs are kept in $corpus"
seeds=$(find src -path "*/testdata/fuzz/${name%_fuzz}" -type d | head -1)
exec "build/fuzz/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build/fuzz/ "$corpus" ${seeds:+"$seeds"}
