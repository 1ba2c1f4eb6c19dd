# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the VMM itself costs.
cells+=(startup)
startup_title="The VMM"
startup_about="Guest of 512 MiB with 2 vCPUs. start: exec of minivmm to the guest's first instruction; memory: private memory besides guest RAM, standby VM included, of the VMM, of its idle dumper, and of both."

# private PID: Private_Clean + Private_Dirty of all mappings but guest RAM, KiB.
startup_private() {
	awk -v dir="$dir" '/^[0-9a-f]+-[0-9a-f]+ / { ram = index($0, dir) > 0 }
		/^Private_(Clean|Dirty):/ && !ram { sum += $2 } END { print sum + 0 }' "/proc/$1/smaps"
}

startup_round() {
	local pid vmm dumper=0 child first i
	note minivmm
	rm -rf "$work/events" "${dir:?}"/*
	config 512M 2 "scenario=idle" "scenario=ready-poweroff"
	"$tools/stamp" "$work/stamp" "$minivmm" run "$work/guest.cfg" --console none --events "$work/events" \
		>"$work/out" 2>&1 </dev/null &
	pid=$!
	for ((i = 0; i < 3000; i++)); do
		! grep -q '"event":"ready"' "$work/events" 2>/dev/null || break
		kill -0 $pid 2>/dev/null || break
		sleep 0.02
	done
	sleep 0.2 # the standby VM is made now; it is part of the price
	first=$(sed -n 's/^{"event":"post","ns":\([0-9]*\).*/\1/p' "$work/events" | head -1)
	if [ -n "$first" ] && vmm=$(startup_private $pid); then
		for child in $(cat /proc/$pid/task/*/children); do
			dumper=$((dumper + $(startup_private "$child")))
		done
		sample minivmm start ms "$(echo "$first $(cat "$work/stamp")" | awk '{ printf "%.3f\n", ($1 - $2) / 1e6 }')"
		sample vmm memory KiB "$vmm"
		sample dumper memory KiB "$dumper"
		sample both memory KiB $((vmm + dumper))
	else
		failed minivmm "did not start: $(tail -1 "$work/out")" || true
	fi
	kill -TERM $pid 2>/dev/null || true
	wait $pid || true
}
