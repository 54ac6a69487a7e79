#!/usr/bin/env bash
# zoo [--write] [NUMBER...]: puts historical bugs back into the Raft core and shows which tests notice; --write: into docs/internals/testing.md
. dev.d/common.sh

write=no
if [[ ${1:-} == --write ]]; then
  write=yes
  shift
  [[ $# -eq 0 ]] || die "--write writes the whole table, not some rows"
fi
build release core_zoo
table=$(mktemp)
trap 'rm -f "$table"' EXIT
status=0
build/release/tests/sim/core_zoo "$@" | tee "$table" || status=$?
if [[ $write == yes ]]; then
  python3 - "$table" docs/internals/testing.md <<'PYTHON'
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
