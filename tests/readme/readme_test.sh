#!/usr/bin/env bash
# Types what README.md says under "A first pipeline in five minutes", word for word: every line of its plain code blocks,
# and the feature's line of its gherkin block. Arguments: the build folder, the source folder.
set -euo pipefail
build=$1 source=$2
[[ -x $build/apps/runi/runi ]] || { echo "skip: runi is not built here"; exit 77; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

section=$(sed -n '/^## A first pipeline/,/^## Where things are/p' "$source/README.md")
blocks() { awk -v want="$1" '/^```/ { if (open) { open = 0 } else { open = 1; kind = substr($0, 4) } next } open && kind == want' <<<"$section"; }
line=$(blocks gherkin)
[[ -n $line ]] || { echo "FAILED: the section has no gherkin block"; exit 1; }

# The blocks before and after the change of the feature; only the folders are other ones here.
{
  echo 'set -euo pipefail'
  blocks "" | sed -e "s#\$PWD/build/release#$build#" -e "s#/tmp/runink#$place/runink#g" |
    awk -v line="$line" '/^runi lint/ { print "sed -i \"/are checked against the contract/r /dev/stdin\" features/orders.dsl <<<\"$NEW_LINE\"" } { print }'
} >"$place/typed.sh"
NEW_LINE="$line" bash "$place/typed.sh" >"$place/said" 2>&1 || { cat "$place/typed.sh" "$place/said"; echo "FAILED: README.md"; exit 1; }

fail() { cat "$place/said"; echo "FAILED: $*"; exit 1; }
grep -q "12 in, 8 valid, 4 rejected" "$place/said" || fail "the run's counts are not what README.md says"
grep -q "small orders" "$place/said" || fail "the changed feature dropped nothing"
[[ $(wc -l <"$place/runink/shop/out/orders.ndjson") -lt 8 ]] || fail "the changed feature wrote as many orders as before"
echo "README.md works as written"
