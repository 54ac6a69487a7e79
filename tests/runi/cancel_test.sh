#!/usr/bin/env bash
# A run that waits for its input is cancelled by another runi: it ends cleanly, publishes nothing, and says so.
. "$(dirname "$0")/common.sh" "$1"

sed -i 's#@source("data/orders.ndjson")#@source("-", format="ndjson")#' features/orders.dsl
mkfifo feed
"$runi" run features/orders.dsl <feed 2>"$place/run.log" &
child=$!
exec 9>feed  # the feed stays open: the run goes on waiting
head -1 data/orders.ndjson >&9
until_true "a run in progress" bash -c "'$runi' runs --scenarios --state running -o name | grep -c . | grep -qx 2"

"$runi" cancel >"$place/cancel.log" 2>&1 || fail "runi cancel"
code=0
wait "$child" || code=$?
child=""
[[ $code -eq 130 ]] || fail "the cancelled run ended with $code instead of 130"
[[ $("$runi" runs -o csv | sed -n 2p) == *,cancelled,* ]] || fail "the run is not recorded as cancelled: $("$runi" runs -o csv)"
[[ ! -e out/orders.ndjson ]] || fail "a cancelled run published"
code=0
"$runi" cancel last 2>/dev/null || code=$?
[[ $code -ne 0 ]] || fail "a run that is over was cancelled again"
echo "cancelled cleanly"
