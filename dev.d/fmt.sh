#!/usr/bin/env bash
# fmt [code|reference]: clang-format over our C++; write docs/reference/cli.md anew
. dev.d/common.sh

format_code() {
  local tool=clang-format-14
  command -v $tool >/dev/null || tool=clang-format
  command -v $tool >/dev/null || die "clang-format is not installed: ./dev setup"
  say "format C++ with $tool"
  git ls-files -z 'apps/*.cc' 'apps/*.h' 'src/*.cc' 'src/*.h' 'include/*.h' 'fuzz/*.cc' 'bench/*.cc' 'tests/*.cc' | xargs -0 -r $tool -i
}

write_reference() {
  build release runi
  mkdir -p docs/reference
  say "write docs/reference/cli.md"
  build/release/apps/runi/runi __generate reference docs/reference/cli.md
}

case ${1:-all} in
  code) format_code ;;
  reference) write_reference ;;
  all) format_code && write_reference ;;
  *) die "./dev fmt knows code and reference, not \"$1\"" ;;
esac
