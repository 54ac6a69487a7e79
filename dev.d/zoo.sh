#!/usr/bin/env bash
# zoo [--write] [RULE...]: puts historical bugs back and shows which tests notice, rule by rule (C1, C2, …, Raft); --write: all of them, into docs/internals/testing.md
. dev.d/common.sh

write=no
if [[ ${1:-} == --write ]]; then
  write=yes
  shift
  [[ $# -eq 0 ]] || die "--write writes the whole table, not some rows"
fi
build release core_zoo
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch # a unit test that ends in an assertion does not clear up
started=$SECONDS
status=0
build/release/tests/sim/core_zoo --jobs "$(jobs_wanted)" "$@" | tee "$scratch/table" || status=$?
say "looked at in $((SECONDS - started)) s"
if [[ $write == yes ]]; then
  python3 - "$scratch/table" docs/internals/testing.md <<'PYTHON'
import pathlib
import sys

table = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
page = pathlib.Path(sys.argv[2])
begin, end = "<!-- zoo: written by ./dev zoo --write -->\n", "<!-- /zoo -->\n"
head, _, rest = page.read_text(encoding="utf-8").partition(begin)
_, _, tail = rest.partition(end)
page.write_text(head + begin + table + end + tail, encoding="utf-8")
PYTHON
  say "written into docs/internals/testing.md"
fi
exit $status
