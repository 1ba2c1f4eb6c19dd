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

# run_guest [OPTION]...: one run of $work/guest.cfg; its events are in $work/events afterwards.
# $expected: exit status that is meant, 0 unless set.
run_guest() {
	local status=0
	rm -rf "$work/events" "${dir:?}"/*
	"$minivmm" run "$work/guest.cfg" --console "$work/console" --events "$work/events" "$@" \
		>"$work/out" 2>&1 </dev/null || status=$?
	[ $status -eq "${expected:-0}" ] || {
		echo "minivmm failed:" >&2
		cat "$work/out" >&2
		exit 1
	}
}

# qemu_reaches IN OUT STATE: waits, on the descriptors of QEMU's monitor, until its "VM status" has STATE.
qemu_reaches() {
	local line i
	for ((i = 0; i < 20000; i++)); do
		printf 'info status\n' >&"$2"
		while IFS= read -r -t 20 -u "$1" line; do
			case $line in
			*"VM status: "*"$3"*) return 0 ;;
			*"VM status:"*) break ;;
			esac
		done
	done
	return 1
}

# qemu_paused IN OUT: until QEMU has stopped its guest for the panic.  A reset that came before that would be lost: the
# guest would be stopped again.
qemu_paused() {
	qemu_reaches "$1" "$2" paused
}

# qemu_reset IN OUT: resets the guest that stands still and lets it run.  If it went on before the reset, it might end
# itself.
qemu_reset() {
	printf 'system_reset\n' >&"$2"
	qemu_reaches "$1" "$2" prelaunch && printf 'cont\n' >&"$2"
}

host_line() {
	local huge
	huge=$(sed -n 's/.*"event":"dir".*"huge":\(true\|false\).*/\1/p' "$work/events" | head -1)
	echo "host: $(nproc) CPUs, Linux $(uname -r), huge pages: ${huge:-?}, minivmm $("$minivmm" --version | cut -d' ' -f2)"
}

# warm: touches twice the memory of the guest (config, else $memory) on its tmpfs.  A host that is itself a guest gives memory that nobody used for a
# while back slowly, and that is not what is measured.  Removes what is in $dir.
warm() {
	rm -rf "${dir:?}"/*
	mkdir -p "$dir"
	head -c $((2 * $(numfmt --from=iec "${configured:-$memory}"))) /dev/zero >"$dir/warm" || true
	rm -f "$dir/warm"
}
