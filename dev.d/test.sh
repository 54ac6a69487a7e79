#!/usr/bin/env bash
# test [--deep] [REGEX]: build, run all tests, then some under sanitizers (--deep: all of those); with REGEX only tests that match it
. dev.d/common.sh

deep=no
if [[ ${1:-} == --deep ]]; then
  deep=yes
  shift
fi
filter=${1:-}
results=build/test-results
mkdir -p $results
rm -f $results/*.xml

# Which modules are tested once more under sanitizers: those that read what users, files and peers say, and consensus. Fuzz
# targets, and what has threads under ThreadSanitizer, take two cores half an hour more: --deep.
asan_targets=(base_test columnar_test expr_test contract_test dsl_test ledger_test connectors_test
  crypto_test http_test raft_core_test journal_test raft_driver_test barn_test)
tsan_targets=()
if [[ $deep == yes ]]; then
  asan_targets+=(fuzz_targets)
  tsan_targets+=(os_test engine_test corpus_test local_test net_test transport_test raft_driver_test telemetry_test http_test)
fi

# run PRESET NAME [CTEST ARGUMENTS]: never stops the script; what failed is told by the summary.
run() {
  local preset=$1 name=$2
  shift 2
  say "tests: $name"
  ctest --test-dir "build/$preset" -j "$(jobs_wanted)" --output-on-failure --no-tests=error \
    --output-junit "$PWD/$results/$name.xml" "$@" >"$results/$name.log" 2>&1 || true
  grep -E '^(The following tests FAILED|[0-9]+% tests passed)' -A 40 "$results/$name.log" >&2 || tail -20 "$results/$name.log" >&2
}

# Targets of the list that this tree has.
existing() {
  local preset=$1 target
  shift
  configure "$preset"
  for target in "$@"; do
    ninja -C "build/$preset" -t query "$target" >/dev/null 2>&1 && echo "$target"
  done
}

# sanitized PRESET TARGET...: builds them and runs the unit tests and fuzz targets that they hold.
sanitized() {
  local preset=$1 targets
  shift
  mapfile -t targets < <(existing "$preset" "$@")
  ((${#targets[@]})) || return 0
  build "$preset" "${targets[@]}"
  local pattern="" target
  for target in "${targets[@]}"; do
    [[ $target == fuzz_targets ]] && pattern+="|^fuzz\\." || pattern+="|^${target%_test}\\."
  done
  # By label too: tests of whole programs share prefixes with modules ("barn."), and their programs are not built here.
  run "$preset" "$preset" -R "${pattern#|}" -L '^(unit|fuzz)$'
}

bash dev.d/setup.sh
build release
if [[ -n $filter ]]; then
  run release filtered -R "$filter"
else
  run release release
  export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
  sanitized asan "${asan_targets[@]}"
  if ((${#tsan_targets[@]})); then sanitized tsan "${tsan_targets[@]}"; fi
fi
exec python3 dev.d/lint/summary.py $results
