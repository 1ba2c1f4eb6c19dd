# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How far a dump is from programs that do nothing but the work it cannot avoid, on as many bytes.
cells+=(ideal ideal-release ideal-scan ideal-lz4)

# ideal_rate WHAT BYTES: GB/s of the program that only does that with so many bytes in $dir: copy, punch or scan.
ideal_rate() {
	"$tools/ideal-copy" --dir "$dir" --size "$(($2 >> 21 << 1))M" --variant "${1/copy/pwrite}" 2>&1 |
		sed -n 's/.*gb_per_s=\([0-9.]*\).*/\1/p'
}

# yardstick WHAT BYTES
yardstick() {
	local gb_per_s
	note "ideal $1"
	warm
	gb_per_s=$(ideal_rate "$1" "$2")
	[ -n "$gb_per_s" ] || failed "ideal $1" "no rate" || return 0
	sample "ideal $1" rate GB/s "$gb_per_s"
}

# rate BYTES FROM TO: GB/s, of the last crash, from one moment to the other.
rate() {
	echo "$1 $(moment "$2") $(moment "$3")" | awk 'NF == 3 && $3 > $2 { printf "%.4f\n", $1 / ($3 - $2) }'
}

ideal_title="Copying, against the ideal"
ideal_about="vmapp on a guest that is 90 % filled, without a recovery VM (alone) and with one (beside). copy: from the .partial names to the last release; whole: from the dumper's start to publication. ideal copy: a program that does nothing but copy and release as many bytes chunk by chunk on the same tmpfs."
ideal_base="ideal copy"
ideal_round() {
	local bytes name
	config "$memory" 1 "scenario=panic-call fill=pattern:90" "scenario=ready-poweroff"
	bytes=$(($(bytes_of "$memory") * 9 / 10))
	for name in beside alone; do
		if [ $name = alone ]; then
			expected=5 crash alone all --set recovery.enabled=no || continue # vmm/base/exit_codes.h: crashed, not recovered
		else
			crash beside all || continue
		fi
		bytes=$(number dump-done dumped)
		sample "$name, copy" rate GB/s "$(rate "$bytes" linked copied)"
		sample "$name, whole" rate GB/s "$(rate "$bytes" dump-start published)"
	done
	yardstick copy "$bytes"
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
	sample "select and release" rate GB/s "$(rate "$bytes" dump-start excluded)"
	yardstick punch "$bytes"
}

ideal_scan_title="Looking for zeros, against the ideal"
ideal_scan_about="A guest that is 90 % filled, a quarter of that with zeros; remap with selector zero and no recovery VM. remap,zero: from the dumper's start to the moment that all pages of zeros are back. ideal scan: a program that only looks for pages of zeros in as many bytes, a quarter of which are."
ideal_scan_base="ideal scan"
ideal_scan_round() {
	local bytes
	[ "$mode" != quick ] || return 0
	config "$memory" 1 "scenario=panic-call fill=pattern:68,zero:22" "scenario=ready-poweroff"
	expected=5 crash "remap,zero" zero --set dump.strategy=remap --set dump.select=zero --set recovery.enabled=no || return 0
	bytes=$(number dump-start populated)
	sample "remap,zero" rate GB/s "$(rate "$bytes" dump-start copied)"
	yardstick scan "$bytes"
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
		sample vmapp,lz4 rate GB/s "$(rate "$(number dump-start memory)" linked copied)"
		sample vmapp,lz4 size MiB "$dump_mib"
	fi
	note "ideal lz4"
	warm
	"$tools/ideal-lz4" --file "$work/bytes" --threads 2 --chunk 2M >"$work/ideal.out" 2>&1 ||
		failed "ideal lz4" "$(tail -1 "$work/ideal.out")" || return 0
	sample "ideal lz4" rate GB/s "$(sed -n 's/.*gb_per_s=\([0-9.]*\).*/\1/p' "$work/ideal.out")"
}
