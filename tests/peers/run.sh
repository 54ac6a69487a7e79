#!/bin/sh
# run.sh SCRIPT.mjs PACKAGES [ARGUMENTS…]: runs a comparison with other people's programs under node, or ends with 77
# (which ctest shows as skipped) and the reason, when node or one of the comma-separated npm packages is missing.
here=$(dirname "$0")
script=$1
packages=$2
shift 2
if ! command -v node >/dev/null 2>&1; then
  echo "skipped: node is not installed"
  exit 77
fi
for package in $(echo "$packages" | tr ',' ' '); do
  if [ ! -f "$here/node_modules/$package/package.json" ]; then
    echo "skipped: the npm package $package is not installed; (cd tests/peers && npm ci) installs it"
    exit 77
  fi
done
exec node "$here/$script" "$@"
