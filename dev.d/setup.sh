#!/usr/bin/env bash
# install what is missing of packaging/apt-packages.txt, the peers of tests/peers, and fetch the kernel of tests/vm
. dev.d/common.sh

# Packages of the list that are neither installed nor, by their [if NAME], unneeded.
missing_packages() {
  local line package program
  while IFS= read -r line; do
    line=${line%%#*}
    package=${line%% *}
    [[ -n $package ]] || continue
    program=$(sed -n 's/.*\[if \(.*\)\].*/\1/p' <<<"$line")
    [[ -n $program ]] && command -v "$program" >/dev/null && continue
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done <packaging/apt-packages.txt
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    say "packages: all there"
    return
  fi
  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
      die "these packages are missing, and there is neither root nor sudo to install them:
  ${missing[*]}
Ask an administrator for: apt-get install ${missing[*]}"
    fi
    as_root=(sudo)
  fi
  say "packages: installing ${#missing[@]} with apt-get: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  keep_services_down "${as_root[@]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# etcd and Prometheus come as services, which Debian starts when they are installed; tests start their own. A policy that says
# no (invoke-rc.d(8)), unless this machine has one already, for as long as this script runs.
keep_services_down() {
  local policy=/usr/sbin/policy-rc.d
  [[ -e $policy ]] && return 0
  printf '#!/bin/sh\nexit 101\n' | "$@" tee $policy >/dev/null
  "$@" chmod 755 $policy
  # shellcheck disable=SC2064
  trap "$* rm -f $policy" EXIT
}

# Other people's parsers and readers that tests compare ours with. Tests that need them are skipped without.
install_peers() {
  [[ -f tests/peers/package-lock.json ]] || return 0
  local stamp=tests/peers/node_modules/.package-lock.json
  [[ -f $stamp && ! tests/peers/package-lock.json -nt $stamp ]] && return 0
  if ! command -v npm >/dev/null; then
    say "peers: no npm here; tests that compare with Node.js programs will be skipped"
    return 0
  fi
  say "peers: npm ci in tests/peers"
  (cd tests/peers && npm ci --no-audit --no-fund --loglevel=error >&2 && touch node_modules/.package-lock.json) ||
    say "peers: npm could not install them; tests that compare with them will be skipped"
}

# The kernel of the virtual machine that some tests run in. It is unpacked, and not installed.
fetch_kernel() {
  command -v qemu-system-x86_64 >/dev/null && [[ $(dpkg --print-architecture) == amd64 ]] || return 0
  [[ -f build/vm/kernel/vmlinuz ]] && return 0
  say "virtual machine: fetching Debian's cloud kernel"
  bash tests/vm/kernel.sh build/vm/kernel ||
    say "virtual machine: its kernel could not be fetched; the tests in it will be skipped"
}

[[ -r /etc/debian_version ]] || die "this is not Debian; install what packaging/apt-packages.txt names by hand"
install_packages
install_peers
fetch_kernel
