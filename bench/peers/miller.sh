#!/bin/sh
# Miller, pinned to one core. usage: miller.sh DATA_FOLDER OUT_FOLDER
exec taskset -c 0 mlr --ijsonl --ojsonl filter '$delay >= -1440 && $delay <= 4320 && $distance >= 1 && strlen($origin) == 3 && strlen($destination) == 3' \
  then put '$route = $origin . "-" . $destination; $late = $delay > 15' "$1/flights.ndjson" > "$2/clean.ndjson"
