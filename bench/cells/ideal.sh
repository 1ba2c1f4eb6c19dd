# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How far a dump is from programs that do nothing but the work it cannot avoid, on as many bytes.
cells+=(ideal ideal-release ideal-scan ideal-lz4)

# yardstick NAME PROGRAM ARGUMENT...: samples its rate.
yardstick() {
	local name=$1
	shift
	note "$name"
	warm
	"$@" >"$work/ideal.out" 2>&1 || failed "$name" "$(tail -1 "$work/ideal.out")" || return 0
	sample "$name" rate GB/s "$(sed -n 's/.*gb_per_s=\([0-9.]*\).*/\1/p' "$work/ideal.out")"
}

# ideal_copy NAME VARIANT BYTES
ideal_copy() {
	yardstick "$1" "$tools/ideal-copy" --dir "$dir" --size "$(($3 >> 21 << 1))M" --variant "$2"
}

# rate_of NAME BYTES FROM TO: of the last crash, from one moment to the other.
rate_of() {
	sample "$1" rate GB/s "$(echo "$2 $(moment "$3") $(moment "$4")" |
		awk 'NF == 3 && $3 > $2 { printf "%.4f\n", $1 / ($3 - $2) }')"
}

ideal_title="Copying, against the ideal"
ideal_about="vmapp on a guest that is 90 % filled, without a recovery VM (alone) and with one (beside). copy: from the .partial names to the last release; whole: from the dumper's start to publication. ideal copy: a program that does nothing but copy and release as many bytes chunk by chunk on the same tmpfs."
ideal_base="ideal copy"
ideal_round() {
	local bytes name
	config "$memory" 1 "scenario=panic-call fill=pattern:90" "scenario=ready-poweroff"
	bytes=$(($(bytes_of "$memory") / 100 * 90))
	for name in beside alone; do
		if [ $name = alone ]; then
			expected=5 crash alone all --set recovery.enabled=no || continue # vmm/exit_codes.h: crashed, not recovered
		else
			crash beside all || continue
		fi
		bytes=$(number dump-done dumped)
		rate_of "$name, copy" "$bytes" linked copied
		rate_of "$name, whole" "$bytes" dump-start published
	done
	ideal_copy "ideal copy" pwrite "$bytes"
}

ideal_release_title="Giving memory back, against the ideal"
ideal_release_about="A guest with 5 % in use that touched and freed another 90 %, vmapp with selector pages and no recovery VM. select and release: from the dumper's start to the moment that all free memory is back; it has read the page descriptors then. ideal punch: a program that only gives as many bytes back."
ideal_release_base="ideal punch"
ideal_release_round() {
	local bytes
	[ "$mode" != quick ] || return 0
	config "$memory" 1 "scenario=panic-call fill=pattern:5,freed:90" "scenario=ready-poweroff"
	expected=5 crash "vmapp,pages" freed --set dump.select=pages --set recovery.enabled=no || return 0
	bytes=$(($(number dump-start populated) - $(number dump-done dumped)))
	rate_of "select and release" "$bytes" dump-start excluded
	ideal_copy "ideal punch" punch "$bytes"
}

ideal_scan_title="Looking for zeros, against the ideal"
ideal_scan_about="A guest that is 90 % filled with bytes other than zero, remap with selector zero and no recovery VM: every page is looked at and stays. remap,zero: from the dumper's start to publication. ideal scan: a program that only looks for pages of zeros in as many bytes."
ideal_scan_base="ideal scan"
ideal_scan_round() {
	local bytes
	[ "$mode" != quick ] || return 0
	config "$memory" 1 "scenario=panic-call fill=pattern:90" "scenario=ready-poweroff"
	expected=5 crash "remap,zero" all --set dump.strategy=remap --set dump.select=zero --set recovery.enabled=no || return 0
	bytes=$(number dump-start populated)
	rate_of "remap,zero" "$bytes" dump-start published
	ideal_copy "ideal scan" scan "$bytes"
}

ideal_lz4_title="Compressing, against the ideal"
ideal_lz4_about="vmapp with LZ4 and 2 workers on a guest with 60 % text, 20 % incompressible, 15 % zeros; ideal lz4: a bare loop over LZ4_compress_fast with 2 threads on the same bytes, result dropped."
ideal_lz4_base="ideal lz4"
ideal_lz4_round() {
	config "$memory" 1 "scenario=panic-call fill=text:60,pattern:20,zero:15" "scenario=ready-poweroff"
	if [ ! -s "$work/bytes" ]; then # the bytes: an uncompressed dump of the same guest
		crash vmapp all || return 0
		cp --sparse=always "$dir"/*-g0.vmcore "$work/bytes"
	fi
	if crash vmapp,lz4 all --set dump.compress=lz4 --set dump.workers=2; then
		rate_of vmapp,lz4 "$(number dump-start memory)" linked copied
		sample vmapp,lz4 size MiB "$dump_mib"
	fi
	yardstick "ideal lz4" "$tools/ideal-lz4" --file "$work/bytes" --threads 2 --chunk 2M
}
