#!/usr/bin/env bash
# bench NAME [--json]: run a benchmark of bench/; without NAME, list them
. dev.d/common.sh

if [[ $# -eq 0 || ${1:-} == --* ]]; then
  echo "usage: ./dev bench NAME [--json]; there are:"
  for script in bench/*.sh; do
    [[ -f $script ]] && printf '  %-8s %s\n' "$(basename "$script" .sh)" "$(sed -n '2s/^# //p' "$script")"
  done
  exit 2
fi
name=$1
shift
[[ -f bench/$name.sh ]] || die "there is no bench/$name.sh; ./dev bench lists what there is"
bash dev.d/setup.sh
build release
exec bash "bench/$name.sh" "$@"
