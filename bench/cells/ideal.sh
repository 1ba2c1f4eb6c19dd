# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How far a dump is from programs that do nothing but the work it cannot avoid, on as many bytes.
cells+=(ideal ideal-lz4)

ideal_title="Copying, against the ideal"
ideal_about="vmapp on a guest that is 90 % filled, without a recovery VM (alone) and with one (beside), from the .partial names to the last release; ideal copy: a program that copies and releases as many bytes chunk by chunk on the same tmpfs; ideal punch: that only releases them; ideal scan: that only looks for pages of zeros."
ideal_base="ideal copy"
ideal_round() {
	local bytes name variant
	config "$memory" 1 "scenario=panic-call fill=pattern:90" "scenario=ready-poweroff"
	bytes=$(($(bytes_of "$memory") / 100 * 90))
	for name in beside alone; do
		if [ $name = alone ]; then
			expected=5 crash alone all --set recovery.enabled=no || continue # vmm/exit_codes.h: crashed, not recovered
		else
			crash beside all || continue
		fi
		bytes=$(number dump-done dumped)
		sample $name rate GB/s "$(echo "$bytes $(moment linked) $(moment copied)" | awk '{ printf "%.4f\n", $1 / ($3 - $2) }')"
	done
	for variant in pwrite punch scan; do
		name="ideal ${variant/pwrite/copy}"
		note "$name"
		warm
		"$tools/ideal-copy" --dir "$dir" --size "$((bytes / 2097152 * 2))M" --variant $variant >"$work/ideal.out" 2>&1 ||
			failed "$name" "$(tail -1 "$work/ideal.out")" || continue
		sample "$name" rate GB/s "$(sed -n 's/.*gb_per_s=\([0-9.]*\).*/\1/p' "$work/ideal.out")"
	done
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
		sample vmapp,lz4 rate GB/s "$(echo "$(number dump-start memory) $(moment linked) $(moment copied)" |
			awk '{ printf "%.4f\n", $1 / ($3 - $2) }')"
		sample vmapp,lz4 size MiB "$dump_mib"
	fi
	note "ideal lz4"
	warm
	"$tools/ideal-lz4" --file "$work/bytes" --threads 2 --chunk 2M >"$work/ideal.out" 2>&1 ||
		failed "ideal lz4" "$(tail -1 "$work/ideal.out")" || return 0
	sample "ideal lz4" rate GB/s "$(sed -n 's/.*gb_per_s=\([0-9.]*\).*/\1/p' "$work/ideal.out")"
}
