#!/usr/bin/env bash
# build runi and run both examples, end to end
. dev.d/common.sh

bash dev.d/setup.sh
build release runi runi-slice
export PATH="$PWD/build/release/apps/runi:$PATH"

# The examples are run in a copy, so that the repository stays as it is.
place=build/demo
rm -rf $place
mkdir -p $place
cp -r examples/. $place

bold='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
show() {
  printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"
  "$@"
}

cd $place/flights
say "flights: check records against a contract, set bad ones aside, join with airports"
show runi contract check contracts/flight.contract
show runi plan features/punctuality.dsl
show runi run features/punctuality.dsl
echo
echo "What was written (out/punctuality.csv, first lines):"
head -5 out/punctuality.csv
show runi dlq list last --by-rule
show runi lineage query out/punctuality.csv:late -d up
show runi test
say "flights: a step written in C++, built by runi compile"
show runi compile
show runi run features/ratings.dsl

cd ../packages
say "packages: what is installed on this machine, from a program source"
show runi run features/packages.dsl
echo
echo "What was written (out/by_section.csv, first lines):"
head -5 out/by_section.csv

cat <<TEXT

Where to look next, in $place/flights (put build/release/apps/runi on your PATH):
  features/punctuality.dsl     what you just ran
  contracts/flight.contract    what its records must look like
  out/                         what was written
  runi runs                    the runs; runi status RUN, runi lineage RUN, runi dlq show RUN

README.md of this repository has a first pipeline of your own, in five minutes.
TEXT
