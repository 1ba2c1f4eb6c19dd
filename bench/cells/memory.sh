# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Memory of crash, dump and recovery: how much it is at most, over time, what the gate that sees to it costs, and what huge
# pages save.
cells+=(peak curve gate huge)

peak_title="Most memory in use"
peak_about="Most memory behind the files that minivmm and its dumper hold, at any moment of crash, dump and recovery (sampled every 2 ms), over the guest's memory. Guest with 2 vCPUs, 60 % in use (20 % incompressible, 20 % text, 20 % zeros). The service of the recovery VM touches a sixteenth of its memory, or (heavy) 60 % as well. wait: recovery.overcommit = wait; no gate: recovery.handover = none. recovery.reserve, which comes on top of the guest's memory, is of fixed size: it counts more for small guests."
peak_round() {
	local name touch options wrap mib
	[ "$mode" != quick ] || return 0
	mib=$(($(bytes_of "$memory") >> 20))
	while IFS='|' read -r name touch options <&3; do
		config "$memory" 2 "scenario=panic-call fill=pattern:20,text:20,zero:20" \
			"scenario=service touch=$((mib * touch / 10000)) then=ready-poweroff"
		wrap=("$tools/curve" "$work/curve" "$dir")
		# shellcheck disable=SC2086 # options are words
		crash "$name" all $options || continue
		sample "$name" peak "of guest memory" "$(awk -v mib="$mib" '
			$1 != now { now = $1; sum = 0 }
			{ sum += $3 } sum > peak { peak = sum }
			END { printf "%.4f\n", peak / 1024 / mib }' "$work/curve")"
	done 3<<-END
		vmapp,pages|625|--set dump.select=pages
		vmapp,pages,lz4|625|--set dump.select=pages --set dump.compress=lz4
		remap,pages|625|--set dump.strategy=remap --set dump.select=pages
		vmapp,lz4, heavy|6000|--set dump.compress=lz4
		vmapp,lz4, heavy, wait|6000|--set dump.compress=lz4 --set recovery.overcommit=wait
		vmapp,lz4, heavy, no gate|6000|--set dump.compress=lz4 --set recovery.handover=none
	END
}

curve_title="Memory through a crash"
curve_about="Memory behind every file that minivmm and its dumper hold, sampled every 2 ms, over the time since the crash; the guest had filled 90 % of its memory and freed a third of that again, the service of the recovery VM touches three eighths of its memory. peak: most of the sum, over the guest's memory. budget: vm.memory and recovery.reserve. The plots show the last round."
curve_round() {
	local name options wrap
	config "$memory" 1 "scenario=panic-call fill=pattern:60,freed:30" \
		"scenario=service touch=$(($(bytes_of "$memory") * 3 >> 23)) then=ready-poweroff"
	while IFS='|' read -r name options <&3; do
		mkdir -p "$dir"
		wrap=("$tools/curve" "$work/curve" "$dir")
		# shellcheck disable=SC2086 # options are words
		crash "$name" freed $options || continue
		curve_samples "$name"
	done 3< <(curve_rows)
}

curve_rows() {
	echo "vmapp,pages|--set dump.select=pages"
	[ "$mode" != quick ] || return 0
	echo "remap,pages|--set dump.select=pages --set dump.strategy=remap"
	[ "$mode" = full ] || return 0
	cat <<-END
		hybrid,pages|--set dump.select=pages --set dump.strategy=hybrid
		vmapp,pages,lz4|--set dump.select=pages --set dump.compress=lz4
	END
}

# Files become "MS CRASHED DUMP RECOVERY SUM BUDGET", MiB; BUDGET is vm.memory + recovery.reserve.  The crashed VM's region is the largest file at the crash; a file
# with a name that is not the region is the dump; the rest is the recovery VM's.
curve_samples() {
	local series=$out/series/$cell.$1 reserve
	mkdir -p "$out/series"
	reserve=$("$minivmm" check "$work/guest.cfg" | sed -n 's/^ *reserve *= *//p')
	awk -v budget=$((($(bytes_of "$memory") + $(bytes_of "${reserve:-0}")) >> 20)) -v t0="$(moment crash)" '
		FNR == NR { if ($1 <= t0 && $3 >= most) { most = $3; crashed = $2 } next }
		function flush() {
			if (now > t0 - 20e6) printf "%.3f %.2f %.2f %.2f %.2f %d\n", (now - t0) / 1e6, c / 1024, d / 1024, r / 1024, (c + d + r) / 1024, budget
			c = d = r = 0
		}
		$1 != now { if (now) flush(); now = $1 }
		$2 == crashed && $4 !~ /vmcore(.lz4)?$/ { c += $3; next } # by remap it becomes the dump
		$4 ~ /vmcore/ { dump[$2] = 1 }
		$2 in dump { d += $3; next }
		{ r += $3 }
		END { flush() }' "$work/curve" "$work/curve" >"$series.tsv"
	sample "$1" peak "of guest memory" "$(awk -v mib="$(($(bytes_of "$memory") >> 20))" '
		$5 > p { p = $5 } END { printf "%.4f\n", p / mib }' "$series.tsv")"
	sample "$1" complete ms "$(after published)"
}

gate_title="What is left of the gate"
gate_about="Time in which a recovery guest touches nearly all its memory once the handover is over, with recovery.handover = gated and none. Runs whose gate was not open by then are not counted."
gate_base=none
gate_round() {
	local handover order="gated none" mib=$(($(bytes_of "$memory") >> 20))
	[ "$mode" != quick ] || return 0
	[ $((round % 2)) -eq 1 ] || order="none gated" # neither always has the other's traces before it
	# nearly all: the stub's own image and its bookkeeping take some
	config "$memory" 1 "scenario=panic-call fill=pattern:60" \
		"scenario=service delay=300 touch=$((mib - mib / 64 - 16)) then=ready-poweroff"
	for handover in $order; do
		crash "$handover" none --set dump.enabled=no --set recovery.handover="$handover" || continue
		gate_sample "$handover"
	done
}

gate_sample() { # HANDOVER
	local over took
	took=$(sed -n "s/.*service touched [0-9]* MiB in \([0-9]*\) us.*/\1/p" "$work/console" | tail -1)
	[ -n "$took" ] || failed "$1" "no time" || return 0
	if [ "$1" = gated ]; then
		over=$(number handover-done ns)
		[ -n "$over" ] && [ "$over" -lt $(($(number ready ns) - took * 1000)) ] ||
			failed gated "the handover was not over before memory was touched" || return 0
	fi
	sample "$1" touch ms "$(echo "$took" | awk '{ printf "%.3f\n", $1 / 1e3 }')"
}

huge_title="Huge pages"
huge_about="A guest that is 60 % filled, its memory and dump on the tmpfs with 2 MiB pages, if there is one, or on /dev/shm with what the host gives there, as a rule 4 KiB pages. vmapp: its rate from the .partial names to the last release, without a recovery VM; copy, punch: a program that copies and releases as many bytes, or only releases them."
huge_base="/dev/shm"
huge_round() {
	[ "$mode" != quick ] || return 0
	huge_on "$(dirname "$dir")"
	local dir=/dev/shm/$guest # of all that huge_on calls
	huge_on /dev/shm --set vm.memory_dir="$dir" --set dump.huge_pages=off
	rm -rf "$dir"
}

huge_on() { # NAME OPTION...
	local bytes what
	config "$memory" 1 "scenario=panic-call fill=pattern:60" "scenario=ready-poweroff"
	expected=5 crash "$1" all --set recovery.enabled=no "${@:2}" || return 0
	bytes=$(number dump-done dumped)
	sample "$1" vmapp GB/s "$(rate "$bytes" linked copied)"
	for what in copy punch; do
		note "$1, $what"
		warm
		sample "$1" $what GB/s "$(ideal_rate $what "$bytes")"
	done
}
