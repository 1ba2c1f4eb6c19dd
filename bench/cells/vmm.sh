# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the VMM itself costs, beside QEMU with the same stub on the same KVM.
cells+=(startup calls park)

# qemus: the machines that take part, one a line.  q35 takes many seconds through its firmware.
qemus() {
	command -v qemu-system-x86_64 >/dev/null || return 0
	echo microvm
	! often || echo q35
}

# qemu_stub MACHINE CMDLINE [OPTION]...: sets the array $qemu to the command line that boots the stub in it.  Guest RAM is
# a file in $dir, as minivmm's is.
qemu_stub() {
	qemu=(qemu-system-x86_64 -M "$1" -accel kvm -cpu host -smp 2 -m 512 -nodefaults -no-user-config -display none -no-reboot
		-object "memory-backend-file,id=ram,size=512M,mem-path=$dir,share=on" -machine memory-backend=ram
		-kernel "$stub" -append "$2" "${@:3}")
}

startup_title="Start and memory of the VMM"
startup_about="Guest of 512 MiB with 2 vCPUs. first instruction: exec of the VMM to the stub's first instruction, a write to port 0x80; first line: exec to the stub's first line of output, which needs no other CPU and no memory to be filled; memory: private memory besides guest RAM when the guest idles: of minivmm, standby VM included (vmm), of its idle dumper, of both, and of QEMU, which has neither. QEMU boots the same file by its PVH entry, through its firmware."
startup_base=minivmm

# private PID: Private_Clean + Private_Dirty of all mappings but guest RAM, KiB.
startup_private() {
	awk -v dir="$dir" '/^[0-9a-f]+-[0-9a-f]+ / { ram = index($0, dir) > 0 }
		/^Private_(Clean|Dirty):/ && !ram { sum += $2 } END { print sum + 0 }' "/proc/$1/smaps"
}

# startup_ready PID FILE TEXT: waits until FILE has TEXT; no longer than PID lives, nor than a minute.
startup_ready() {
	local i
	for ((i = 0; i < 3000; i++)); do
		! grep -q -- "$3" "$2" 2>/dev/null || return 0
		kill -0 "$1" 2>/dev/null || return 1
		sleep 0.02
	done
	return 1
}

startup_end() { # PID
	kill -TERM "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# first_output VARIANT METRIC TEXT COMMAND...: ms from its exec until COMMAND writes TEXT.
first_output() {
	local variant=$1 metric=$2 text=$3 ms
	shift 3
	note "$variant"
	ms=$("$tools/until" "$text" 60 "$@" 2>"$work/err") || failed "$variant" "no $metric: $(tail -1 "$work/err")" || return 0
	sample "$variant" "$metric" ms "$ms"
}

startup_round() {
	local machine qemu
	config 512M 2 "scenario=idle" "scenario=ready-poweroff"
	startup_minivmm
	rm -rf "${dir:?}"/*
	first_output minivmm "first line" "stub: minivmm" "$minivmm" run "$work/guest.cfg" --console stdio
	for machine in $(qemus); do
		rm -rf "${dir:?}"/*
		mkdir -p "$dir"
		qemu_stub "$machine" "scenario=idle" -chardev stdio,id=post -device isa-debugcon,iobase=0x80,chardev=post
		first_output "qemu $machine" "first instruction" $'\x01' "${qemu[@]}" # the only byte that is written there
		qemu_stub "$machine" "scenario=idle" -serial stdio
		first_output "qemu $machine" "first line" "stub: minivmm" "${qemu[@]}"
		startup_qemu_memory "$machine"
	done
}

startup_minivmm() {
	local pid vmm dumper=0 child first
	note minivmm
	rm -rf "$work/events" "${dir:?}"/*
	"$tools/stamp" "$work/stamp" "$minivmm" run "$work/guest.cfg" --console none --events "$work/events" \
		>"$work/out" 2>&1 </dev/null &
	pid=$!
	startup_ready $pid "$work/events" '"event":"ready"' || true
	sleep 0.2 # the standby VM is made now; it is part of the price
	first=$(sed -n 's/^{"event":"post","ns":\([0-9]*\).*/\1/p' "$work/events" | head -1)
	if [ -n "$first" ] && vmm=$(startup_private $pid); then
		for child in $(cat "/proc/$pid/task/"*/children); do
			dumper=$((dumper + $(startup_private "$child")))
		done
		sample minivmm "first instruction" ms "$(echo "$first $(cat "$work/stamp")" | awk '{ printf "%.3f\n", ($1 - $2) / 1e6 }')"
		sample minivmm memory KiB $((vmm + dumper))
		sample "minivmm: vmm" memory KiB "$vmm"
		sample "minivmm: dumper" memory KiB "$dumper"
	else
		failed minivmm "did not start: $(tail -1 "$work/out")" || true
	fi
	startup_end $pid
}

startup_qemu_memory() { # MACHINE
	local pid
	rm -f "$work/serial"
	qemu_stub "$1" "scenario=idle" -serial "file:$work/serial"
	"${qemu[@]}" >"$work/out" 2>&1 </dev/null &
	pid=$!
	if startup_ready $pid "$work/serial" "stub: ready"; then
		sleep 0.2
		sample "qemu $1" memory KiB "$(startup_private $pid)"
	else
		failed "qemu $1" "did not start: $(tail -1 "$work/out")" || true
	fi
	startup_end $pid
}

calls_title="Firmware call"
calls_about="Mean of 4000, timed within the guest. port read: a read of the call port, answered by the VMM's process (QEMU knows no such port and answers, too); firmware call: FW_QUERY, whose block is read, checked and written back; QEMU has none."
calls_base=minivmm
calls_round() {
	local machine qemu port query
	config 256M 1 "scenario=calls" "scenario=ready-poweroff"
	note minivmm
	rm -rf "$work/console" "${dir:?}"/*
	timeout 60 "$minivmm" run "$work/guest.cfg" --console "$work/console" >"$work/out" 2>&1 </dev/null ||
		failed minivmm "$(tail -1 "$work/out")" || return 0
	port=$(sed -n 's/.*calls port: .* ticks each, \([0-9]*\) ns.*/\1/p' "$work/console")
	query=$(sed -n 's/.*calls query: .* ticks each, \([0-9]*\) ns.*/\1/p' "$work/console")
	[ -n "$port" ] && [ -n "$query" ] || failed minivmm "$(grep error "$work/console")" || return 0
	sample minivmm "port read" us "$(echo "$port" | awk '{ printf "%.3f\n", $1 / 1e3 }')"
	sample minivmm "firmware call" us "$(echo "$query" | awk '{ printf "%.3f\n", $1 / 1e3 }')"
	! command -v qemu-system-x86_64 >/dev/null || calls_qemu "$port"
}

# QEMU tells the stub no frequency of the TSC: ticks become ns as in minivmm's guest, where PORT_NS are so many ticks.
calls_qemu() { # PORT_NS
	local ticks ours machine=microvm qemu pid
	note "qemu $machine"
	ours=$(sed -n 's/.*calls port: .*, \([0-9]*\) ticks each.*/\1/p' "$work/console")
	rm -rf "${dir:?}"/* "$work/serial"
	mkdir -p "$dir"
	qemu_stub $machine "scenario=calls" -serial "file:$work/serial"
	"${qemu[@]}" >"$work/out" 2>&1 </dev/null &
	pid=$!
	startup_ready $pid "$work/serial" "stub: ready" || true
	startup_end $pid
	ticks=$(sed -n 's/.*calls port: .*, \([0-9]*\) ticks each.*/\1/p' "$work/serial")
	[ -n "$ticks" ] || failed "qemu $machine" "$(tail -1 "$work/out")" || return 0
	sample "qemu $machine" "port read" us "$(echo "$ticks $ours $1" | awk '{ printf "%.3f\n", $1 / $2 * $3 / 1e3 }')"
}

park_title="Crash seen to vCPUs stopped"
park_about="From the panic call, or the write to pvpanic, as the VMM sees it to the moment that the vCPU stands still and its registers are known; guest of 512 MiB with 1 vCPU. QEMU: from its event GUEST_PANICKED to STOP. Cell vcpus has it for more vCPUs."
park_base=minivmm
park_round() {
	config 512M 1 "scenario=panic-call fill=pattern:10" "scenario=ready-poweroff"
	! crash minivmm all || sample minivmm parked ms "$(after parked)"
	! command -v qemu-system-x86_64 >/dev/null || park_qemu microvm
}

park_qemu() { # MACHINE
	local qemu line panicked='' stopped='' pid
	note "qemu $1"
	rm -rf "${dir:?}"/*
	qemu_stub "$1" "scenario=panic-call fill=pattern:10" -device pvpanic,ioport=1285 -action panic=pause -qmp stdio
	coproc QMP { exec timeout 60 "${qemu[@]}" 2>&1; }
	pid=$QMP_PID
	exec 6<&"${QMP[0]}" 7>&"${QMP[1]}"
	echo '{"execute":"qmp_capabilities"}' >&7
	while IFS= read -r -t 60 -u 6 line; do
		case $line in
		*'"GUEST_PANICKED"'*) panicked=$(qmp_us "$line") ;;
		*'"STOP"'*) stopped=$(qmp_us "$line"); break ;;
		esac
	done
	exec 6<&- 7>&-
	startup_end "$pid"
	[ -n "$panicked" ] && [ -n "$stopped" ] || failed "qemu $1" "no GUEST_PANICKED and STOP" || return 0
	sample "qemu $1" parked ms "$(echo "$stopped $panicked" | awk '{ printf "%.3f\n", ($1 - $2) / 1e3 }')"
}

# qmp_us EVENT: when that was, us.
qmp_us() {
	sed -n 's/.*"seconds": \([0-9]*\), "microseconds": \([0-9]*\).*/\1 \2/p' <<<"$1" | awk '{ printf "%.0f\n", $1 * 1000000 + $2 }'
}
