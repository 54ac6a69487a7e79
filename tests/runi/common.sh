# shellcheck shell=bash
# A project of its own in a folder that is removed, and `until_true`. Sourced with runi's path as $1.
set -euo pipefail
runi=$1
[[ -x $runi ]] || { echo "skip: runi is not built here"; exit 77; }
place=$(mktemp -d)
child=""
trap '[[ -n $child ]] && kill -9 "$child" 2>/dev/null; rm -rf "$place"' EXIT
cd "$place"
"$runi" -q init shop >/dev/null
cd shop

fail() { echo "FAILED: $*"; cat "$place"/*.log 2>/dev/null; exit 1; }

# until_true WHAT COMMAND...: waits for the command to succeed, at most 60 s.
until_true() {
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "waited in vain for $what"
    sleep 0.05
  done
}
