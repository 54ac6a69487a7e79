#!/usr/bin/env bash
# runi watch runs at once, again after a change of the data, and ends by SIGINT with 130.
. "$(dirname "$0")/common.sh" "$1"

"$runi" watch features/orders.dsl 2>"$place/watch.log" &
child=$!
until_true "the first run" test -s out/by_state.csv
until_true "the watch to wait" grep -q "waiting for a change" "$place/watch.log"
printf '{"id":"O-9999","ordered":"2026-03-02T09:12:00Z","customer":"New One","state":"paid","items":1,"total":1.00}\n' >>data/orders.ndjson
until_true "the second run" grep -q "O-9999" out/orders.ndjson
kill -INT "$child"
code=0
wait "$child" || code=$?
child=""
[[ $code -eq 130 ]] || fail "watch ended with $code instead of 130"
echo "ran twice"
