# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# bench/measure.sh - what the cells of bench/run are made of; sourced by it, after bench/common.sh.
#
# In force while a cell's function runs: $cell, $round, $mode (quick, normal or full), $memory (of a guest, where the
# cell does not vary it), $work and $dir (bench/common.sh), $results, and the programs $minivmm, $stub, $judge, $tools.

wrap=()

# sample VARIANT METRIC UNIT VALUE: one line of the results.  What was not reached ("", "-") is no sample.
sample() {
	[ -n "$4" ] && [ "$4" != - ] || return 0
	printf '{"record":"sample","cell":"%s","variant":"%s","metric":"%s","unit":"%s","value":%s,"round":%d}\n' \
		"$cell" "$1" "$2" "$3" "$4" "$round" >>"$results"
}

# failed VARIANT WHY...: nothing of this run is timed, and bench/run ends with status 1.
failed() {
	local variant=$1
	shift
	printf '{"record":"failure","cell":"%s","variant":"%s","round":%d,"why":"%s"}\n' \
		"$cell" "$variant" "$round" "$(tr -d '"\\[:cntrl:]' <<<"$*" | cut -c1-300)" >>"$results"
	say "  FAILED $cell $variant: $*"
	return 1
}

say() {
	printf '%s\n' "$*" >&2
}

# note VARIANT: progress.
note() {
	[ ! -t 2 ] || printf '\r\033[K  %4d s%s  round %d  %-12s %s' "$((SECONDS - began))" "${budget_text:-}" "$round" "$cell" "$1" >&2
}

# script_samples METRIC COMMAND...: runs a script of bench/ that makes all its rounds by itself and prints a line
# "sample ROUND NAME MS [METRIC]" for each value.  @sample_names of the caller: what the report calls a NAME, if not so.
script_samples() {
	local usual=$1 word name ms metric
	shift
	SAMPLES=1 "$@" >"$work/$cell" 2>"$work/err" || failed all "$(tail -n 1 "$work/err")" || return 0
	local round
	while read -r word round name ms metric; do
		[ "$word" != sample ] || sample "${sample_names[$name]:-$name}" "${metric:-$usual}" ms "$ms"
	done <"$work/$cell"
}

enough=3 # rounds, in full mode, of what takes long

# often: is it time for what takes many seconds?  Once, if time is short.
often() {
	{ [ "$mode" = full ] && [ "$round" -le "${runs:-$enough}" ]; } || { [ "$mode" = normal ] && [ "$round" -eq 1 ]; }
}

# room_for SIZE: has the host memory for a guest of SIZE and a second copy of it?
room_for() {
	[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -ge $(((2 * $(bytes_of "$1") + (1 << 30)) >> 10)) ] ||
		skipped "$1" "less than twice the memory of such a guest is free"
}

# skipped WHAT WHY: told in the report.  Returns 1.
skipped() {
	printf '{"record":"skipped","cell":"%s","variant":"%s","round":%d,"why":"%s"}\n' "$cell" "$1" "$round" "$2" >>"$results"
	return 1
}

# after MOMENT [SINCE]: ms from SINCE (crash) to MOMENT, of the first crash; "-" if it was not reached.
after() {
	echo "$(moment "$1") $(moment "${2:-crash}")" |
		awk 'NF == 2 { printf "%.4f\n", ($1 - $2) / 1e6; next } { print "-" }'
}

bytes_of() {
	numfmt --from=iec "$1"
}

# verify ABSENT [OPTION...]: is the dump of the last crash what the guest left in memory?  ABSENT: kinds of fill that the
# selector leaves out, "" = none; OPTIONs are for vmcore-check.  Sets $dump_mib, what the dump takes.
verify() {
	local file plain status=0 absent=()
	file=$(find "$dir" -maxdepth 1 -name '*-g0.vmcore*' ! -name '*.partial' | head -1)
	[ -n "$file" ] || { echo "no dump" >"$work/verdict"; return 1; }
	dump_mib=$(stat -c '%b %B' "$file" | awk '{ printf "%.2f", $1 * $2 / 1048576 }')
	plain=$file
	[ -z "$1" ] || absent=(--holes "$1")
	case $file in
	*.lz4)
		plain=$dir/restored
		lz4 -q -f -d "$file" "$plain" 2>"$work/verdict" || return 1
		[ -z "$1" ] || absent=(--zeros "$1")
		;;
	esac
	"$judge" --console "$work/console" "${absent[@]}" "${@:2}" "$plain" >"$work/verdict" 2>&1 || status=1
	rm -f "$dir/restored"
	return $status
}

# crash VARIANT DUMP OPTION...: one crash of the guest in $work/guest.cfg.  DUMP: "none" if no dump is meant, "all",
# or the kinds of fill that are not in it.  Returns 1, with the failure in the results, if the run or its dump is
# wrong; the caller then records nothing.  Wrapped in $wrap, an array, if that is not empty.
crash() {
	local variant=$1 kind=$2 status=0
	shift 2
	note "$variant"
	rm -rf "$work/events" "$work/console"
	warm
	timeout 300 "${wrap[@]}" "$minivmm" run "$work/guest.cfg" --console "$work/console" --events "$work/events" "$@" \
		>"$work/out" 2>&1 </dev/null || status=$?
	[ $status -eq "${expected:-0}" ] || failed "$variant" "minivmm: status $status: $(tail -1 "$work/out")" || return 1
	grep -q '^{"event":"crash"' "$work/events" || failed "$variant" "no crash" || return 1
	[ "$kind" = none ] || verify "${kind#all}" ||
		failed "$variant" "dump not verified: $(grep -m1 BAD "$work/verdict" || tail -1 "$work/verdict")" || return 1
}

# dump_samples VARIANT: what every cell that dumps wants to know.
dump_samples() {
	sample "$1" first ms "$(after first-release)"
	sample "$1" complete ms "$(after published)"
	# where nothing moves, there is no rate
	[[ $1 == remap* || $1 == hybrid* ]] || sample "$1" rate GB/s "$(echo "$(number dump-done dumped) $(moment copied) $(moment crash)" |
		awk 'NF == 3 && $2 > $3 { printf "%.4f\n", $1 / ($2 - $3) }')"
	sample "$1" size MiB "$dump_mib"
}
