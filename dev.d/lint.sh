#!/usr/bin/env bash
# lint [--tidy]: walls, orphans, markers, links, machine paths; --tidy adds clang-tidy over what differs from HEAD
. dev.d/common.sh

status=0
python3 dev.d/lint/house.py . || status=1

if [[ ${1:-} == --tidy ]]; then
  configure release
  mapfile -t changed < <(git diff --name-only HEAD -- '*.cc'; git ls-files --others --exclude-standard -- '*.cc')
  if ((${#changed[@]})); then
    cmake build/release -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
    say "clang-tidy: ${changed[*]}"
    clang-tidy-14 -p build/release --quiet "${changed[@]}" || status=1
  else
    say "clang-tidy: nothing differs from HEAD"
  fi
fi
exit $status
