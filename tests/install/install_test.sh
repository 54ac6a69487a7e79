#!/usr/bin/env bash
# Installs into a prefix of its own and uses Runink from there alone. Arguments: the build folder, the source folder.
set -euo pipefail
build=$1 source=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
prefix="$place/pre fix"  # a space, for paths that were not quoted

fail() { echo "FAILED: $*" >&2; exit 1; }
[[ -x $build/apps/runi/runi && -f $build/packaging/made/stamp ]] || { echo "skip: this build folder does not hold a whole build"; exit 77; }

cmake --install "$build" --prefix "$prefix" >"$place/log" || { cat "$place/log"; fail "cmake --install"; }
for file in bin/runi share/man/man1/runi.1 share/bash-completion/completions/runi share/zsh/site-functions/_runi \
  share/fish/vendor_completions.d/runi.fish share/doc/runink/README.md share/doc/runink/LICENSE share/runink/examples/flights/runink.toml; do
  [[ -f $prefix/$file ]] || fail "$file was not installed"
done

# From here on, nothing of the build or the sources is on any path.
export PATH="$prefix/bin:/usr/local/bin:/usr/bin:/bin" HOME="$place"
cd "$place"
[[ $(runi --version) == runi\ [0-9]* ]] || fail "runi --version"
runi --help >/dev/null
bash -n "$prefix/share/bash-completion/completions/runi"
if command -v mandoc >/dev/null; then mandoc -T ascii "$prefix/share/man/man1/runi.1" | col -b | grep -q "runi-completion" || fail "man page"; fi

# Both examples, used with what was installed.
cp -r "$prefix/share/runink/examples/flights" "$prefix/share/runink/examples/packages" .
cd flights
runi run features/punctuality.dsl >run.out 2>&1 || { cat run.out; fail "running an installed example"; }
[[ -s out/punctuality.csv ]] || fail "the example wrote nothing"
runi test >test.out 2>&1 || { cat test.out; fail "golden cases of the example"; }
runi compile >compile.out 2>&1 || { cat compile.out; fail "runi compile from the prefix"; }
runi run features/ratings.dsl >ratings.out 2>&1 || { cat ratings.out; fail "running a C++ step built in the prefix"; }
[[ -s out/ratings.ndjson ]] || fail "the C++ step wrote nothing"
cd ../packages
if command -v dpkg-query >/dev/null; then
  runi run features/packages.dsl >run.out 2>&1 || { cat run.out; fail "running the example of a program source"; }
  [[ -s out/by_section.csv ]] || fail "the program source gave nothing"
fi
echo "installed, and works from its prefix"
