#!/bin/sh
# jq: the same check and two derived fields, one thread. usage: jq.sh DATA_FOLDER OUT_FOLDER
exec jq -c 'select((.date | type == "string") and .delay >= -1440 and .delay <= 4320 and .distance >= 1
  and (.origin | length == 3) and (.destination | length == 3))
  | .route = .origin + "-" + .destination | .late = (.delay > 15)' "$1/flights.ndjson" > "$2/clean.ndjson"
