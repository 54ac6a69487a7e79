#!/usr/bin/env bash
# kernel.sh FOLDER: Debian's cloud kernel and its modules for the virtual machine of tests, unpacked into FOLDER and not
# installed. apt checks the package against its signed index. Does nothing where FOLDER has one already.
#
#   FOLDER/vmlinuz, FOLDER/modules/   and FOLDER/version, which names the package
set -euo pipefail
folder=${1:?usage: kernel.sh FOLDER}

[[ $(dpkg --print-architecture) == amd64 ]] || { echo "the virtual machine of tests is one of amd64" >&2; exit 1; }
[[ -f $folder/vmlinuz ]] && exit 0
package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
[[ -n $package ]] || { echo "apt knows no linux-image-cloud-amd64: apt-get update" >&2; exit 1; }

mkdir -p "$folder"
work=$(mktemp -d "$folder/unpack-XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package" >&2)
dpkg-deb -x "$work"/*.deb "$work/unpacked"
rm -rf "$folder/modules"
mv "$work"/unpacked/lib/modules/*/kernel "$folder/modules"
echo "$package" >"$folder/version"
mv "$work"/unpacked/boot/vmlinuz-* "$folder/vmlinuz"  # last: its being there says that all is
