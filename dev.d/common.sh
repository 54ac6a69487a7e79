# shellcheck shell=bash
# What the verbs share. Sourced with the repository's root as working directory.
set -euo pipefail

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
[[ -t 2 && -z ${NO_COLOR:-} ]] || say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Processes this one may run on; RUNINK_JOBS overrules.
jobs_wanted() { echo "${RUNINK_JOBS:-$(nproc)}"; }

# Configures a preset once and again whenever CMake asks for it; ninja does the latter by itself.
configure() {
  local preset=$1
  if [[ ! -f build/$preset/build.ninja ]]; then
    say "configure preset \"$preset\" in build/$preset"
    cmake --preset "$preset" >"build-$preset.log" 2>&1 || { cat "build-$preset.log" >&2; rm -f "build-$preset.log"; die "CMake could not configure"; }
    rm -f "build-$preset.log"
  fi
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  configure "$preset"
  say "build preset \"$preset\"${*:+: $*} with $(jobs_wanted) processes"
  local started=$SECONDS
  # Progress is for eyes; a log needs what went wrong, and the compiler's warnings.
  local quiet=()
  [[ -t 2 ]] || quiet=(--quiet)
  ninja -C "build/$preset" -j "$(jobs_wanted)" "${quiet[@]}" "$@" >&2
  say "built in $((SECONDS - started)) s"
}
