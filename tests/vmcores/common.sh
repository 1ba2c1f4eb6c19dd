# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# tests/vmcores/common.sh - where kernels and their memory come from; sourced by the scripts here.
# $store: the directory that keeps them.  VMCORES_MIB: how much memory (768).
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The newest cloud kernel's package of VERSION.
package_of() {
	apt-cache search --names-only "^linux-image-${1//./\\.}\\.[0-9.]*(-[0-9]+|\\+deb[0-9]+)?-cloud-amd64$" 2>/dev/null |
		cut -d' ' -f1 | sort -V | tail -n 1
}

# PACKAGE DIR: downloads DIR/*.deb.  Since 6.19 the image is two packages more, which it depends on.
fetch() {
	local parts

	parts=$(apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-\(binary\|modules\)-[0-9].*\)/\1/p')
	# shellcheck disable=SC2086 # each a word
	(cd "$2" && apt-get -q -q -o APT::Sandbox::User=root download "$1" $parts) >&2
}

# Makes $store/PACKAGE/vmcore unless it is there from the same guest; prints the directory.
vmcore_of() {
	local package=$1 dir=$store/$1 key deb

	key=$(cat "$here/init" "$here/load.c" "$here/make-vmcore" - <<<"${VMCORES_MIB:-768}" | sha256sum)
	if [ ! -s "$dir/vmcore" ] || [ "$(cat "$dir/key" 2>/dev/null)" != "$key" ]; then
		rm -rf "$dir"
		mkdir -p "$dir/root"
		fetch "$package" "$dir" || return
		for deb in "$dir"/*.deb; do
			dpkg-deb -x "$deb" "$dir/root" >&2 || return
		done
		"$here/make-vmcore" "$dir/root" "$dir" "${VMCORES_MIB:-768}" >&2 || return
		rm -rf "$dir/root" "$dir"/*.deb
		echo "$key" >"$dir/key"
	fi
	echo "$dir"
}
