# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# bench/common.sh - what the measuring scripts share; sourced by them.

work=$(mktemp -d)
guest=bench-$$
dir=/dev/shm/minivmm/$guest
trap 'rm -rf "$work" "$dir"' EXIT

# stats: of the numbers on standard input, one a line: "median min max n".
stats() {
	sort -g | awk '{ v[NR] = $1 } END {
		if (!NR) { print "- - - 0"; exit }
		m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		printf "%.4g %.4g %.4g %d\n", m, v[1], v[NR], NR }'
}

# moment NAME: of the first timeline event, ns.
moment() {
	sed -n 's/^{"event":"timeline",.*"'"$1"'":\([0-9]*\).*/\1/p' "$work/events" | head -1
}

# number EVENT FIELD: of the first such event.
number() {
	sed -n 's/^{"event":"'"$1"'",.*"'"$2"'":\([0-9]*\).*/\1/p' "$work/events" | head -1
}

# config MEMORY VCPUS CMDLINE RECOVERY_CMDLINE: writes $work/guest.cfg.  Sets $configured to MEMORY.
config() {
	configured=$1
	cat >"$work/guest.cfg" <<-END
		[vm]
		name = $guest
		kernel = $stub
		cmdline = $3
		memory = $1
		vcpus = $2
		[recovery]
		cmdline = $4
	END
}

# warm: touches twice the memory of the guest (config, else $memory) on its tmpfs and gives it back.  A host that is itself a guest gives memory that nobody
# used for a while back slowly, and that is not what is measured.  Removes what is in $dir.
#
# warm kept: and half as much again as the guest has in $dir/kept, for a program that needs fresh memory only seconds later: what is free by then may be gone.
warm() {
	local bytes
	bytes=$(numfmt --from=iec "${configured:-$memory}")
	rm -rf "${dir:?}"/*
	mkdir -p "$dir"
	[ $# -eq 0 ] || [ "$(awk '/^MemAvailable/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)" -lt $((bytes * 5)) ] ||
		head -c $((bytes * 3 / 2)) /dev/zero >"$dir/kept" || true
	head -c $((bytes * 2)) /dev/zero >"$dir/warm" || true
	rm -f "$dir/warm"
}
