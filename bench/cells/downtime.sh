# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# From the panic to the moment that the service is ready again, by how the crash is dealt with; and the peers.
cells+=(downtime peers)

downtime_title="Downtime"
downtime_about="Crash to the service's ready call, 60 % of the guest's memory in use; the service touches some of its memory (an eighth of the guest's, 256 MiB at most) before it is ready. none: no dump; hypercall, addmem: the dead guest dumps by itself, first; serial: vmapp, and the recovery VM after it; qemu MACHINE: dump-guest-memory (ELF) to the same tmpfs, then system_reset, as virsh dump and virsh reset have it; its restart goes through that machine's firmware. The phases add up to the downtime."
downtime_base=none

downtime_round() {
	local touch name kind options
	touch=$(($(bytes_of "$memory") >> 23))
	[ $touch -le 256 ] || touch=256
	config "$memory" 1 "scenario=panic-call fill=pattern:60" "scenario=service touch=$touch then=ready-poweroff"
	while IFS='|' read -r name kind options <&3; do
		# shellcheck disable=SC2086 # options are words
		crash "$name" "$kind" $options || continue
		downtime_samples "$name"
	done 3< <(downtime_rows)
	for name in $(qemus); do
		note "qemu $name"
		qemu_crash "$name" "scenario=panic-call fill=pattern:60 on-recovery=service touch=$touch refill=0" \
			"$(($(bytes_of "$memory") >> 20))" || continue
		sample "qemu $name" downtime ms "$qemu_downtime"
		sample "qemu $name" phase:dump ms "$qemu_dump"
		sample "qemu $name" phase:restart ms "$(echo "$qemu_downtime $qemu_dump" | awk '{ print $1 - $2 }')"
	done
}

#  name|not in the dump|options
downtime_rows() {
	cat <<-END
		none|none|--set dump.enabled=no
		remap,pages|all|--set dump.strategy=remap --set dump.select=pages
		vmapp|all|
		vmapp,pages|all|--set dump.select=pages
		serial|all|--set recovery.concurrent=no
	END
	[ "$mode" != quick ] || return 0
	cat <<-END
		remap|all|--set dump.strategy=remap
		hybrid,pages|all|--set dump.strategy=hybrid --set dump.select=pages
		vmapp,lz4|all|--set dump.compress=lz4
		hypercall|all|--set dump.strategy=hypercall
		addmem|all|--set dump.strategy=addmem
	END
}

# event_ns NAME [WORD]: when the events NAME, with WORD in their line, happened.
event_ns() {
	grep -- "${2:-}" "$work/events" | sed -n 's/^{"event":"'"$1"'","ns":\([0-9]*\).*/\1/p'
}

# Phases: park (the vCPUs stop), dump (only what the recovery VM has to wait for), enter (its first KVM_RUN), restart.
downtime_samples() {
	local crash parked run ready published
	# without a dump there is no timeline, but the events are there
	crash=$(event_ns crash) parked=$(moment parked) run=$(event_ns run true) published=$(moment published)
	ready=$(event_ns ready | tail -1)
	[ -n "$ready" ] || failed "$1" "never ready" || return 0
	# a phase that is not known has no length; a guest that dumps by itself is stopped only afterwards
	[ -z "$(event_ns guest-dumped)" ] || parked=$crash
	parked=${parked:-$crash}
	run=${run:-$parked}
	[ "${published:-0}" -gt 0 ] && [ "$published" -lt "$run" ] || published=$parked
	sample "$1" downtime ms "$(echo "$ready $crash" | awk '{ printf "%.4f\n", ($1 - $2) / 1e6 }')"
	sample "$1" phase:park ms "$(echo "$parked $crash" | awk '{ printf "%.4f\n", ($1 - $2) / 1e6 }')"
	sample "$1" phase:dump ms "$(echo "$published $parked" | awk '{ printf "%.4f\n", ($1 - $2) / 1e6 }')"
	sample "$1" phase:enter ms "$(echo "$run $published" | awk '{ printf "%.4f\n", ($1 - $2) / 1e6 }')"
	sample "$1" phase:restart ms "$(echo "$ready $run" | awk '{ printf "%.4f\n", ($1 - $2) / 1e6 }')"
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

# qemu_crash MACHINE CMDLINE MIB [OPTION]: the same guest in QEMU with KVM, driven through its monitor as soon as it stands
# still; it is reset if CMDLINE has on-recovery=.  OPTION is for dump-guest-memory.  Sets $qemu_downtime and $qemu_dump (ms
# from the panic to ready, and to the end of the dump), $qemu_took (ms of the dump alone) and $qemu_mib, its size.  The dump
# cannot be judged by vmcore-check, whose notes it lacks: it has to have MIB at least.
qemu_crash() {
	local line t0='' t1='' t2='' t3='' pid size
	rm -f "$work/serial.in" "$work/serial.out"
	mkfifo "$work/serial.in" "$work/serial.out"
	warm kept
	exec 8<>"$work/serial.out" 9<>"$work/serial.in"
	coproc QEMU { exec timeout 300 qemu-system-x86_64 -M "$1" -accel kvm -cpu host -nodefaults -display none -m "$memory" \
		-object memory-backend-file,id=ram,size="$memory",mem-path="$dir",share=on -machine memory-backend=ram \
		-kernel "$stub" -append "$2" -serial "pipe:$work/serial" \
		-device pvpanic,ioport=1285 -action panic=pause -monitor stdio 2>&1; }
	pid=$QEMU_PID
	exec 6<&"${QEMU[0]}" 7>&"${QEMU[1]}"
	while IFS= read -r -t 60 -u 8 line; do
		case $line in *"stub: panic:"*) t0=$EPOCHREALTIME ;; esac
		[ -z "$t0" ] || [[ $line != *"stub: regs"*r8=* ]] || break
	done
	if [ -n "$t0" ] && qemu_paused 6 7; then
		rm -f "$dir/kept" # warm memory for the dump, and for the guest's holes, which QEMU fills by reading them
		t1=$EPOCHREALTIME
		printf 'dump-guest-memory %s %s/qemu.elf\ninfo uuid\n' "${4:-}" "$dir" >&7
		while IFS= read -r -t 60 -u 6 line; do
			case $line in *00000000-0000-0000-0000-000000000000*) t2=$EPOCHREALTIME; break ;; esac
		done
		if [[ $2 != *on-recovery=* ]]; then
			t3=$t2
		elif [ -n "$t2" ] && qemu_reset 6 7; then
			while IFS= read -r -t 60 -u 8 line; do
				case $line in *"stub: ready"*) t3=$EPOCHREALTIME; break ;; esac
			done
		fi
	fi
	printf 'quit\n' >&7 2>/dev/null || true
	exec 6<&- 7>&-
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	exec 8<&- 9<&-
	size=$(stat -c %s "$dir/qemu.elf" 2>/dev/null || echo 0)
	rm -f "$dir/qemu.elf"
	[ -n "$t3" ] && [ -n "$t2" ] || failed "qemu $1" "panic at ${t0:-no time}, dump ended at ${t2:-no time}, ready at ${t3:-no time}" || return 1
	qemu_mib=$((size >> 20))
	[ $qemu_mib -ge "$3" ] || failed "qemu $1" "its dump has $size bytes only" || return 1
	qemu_downtime=$(echo "$t3 $t0" | awk '{ printf "%.3f\n", ($1 - $2) * 1e3 }')
	qemu_dump=$(echo "$t2 $t0" | awk '{ printf "%.3f\n", ($1 - $2) * 1e3 }')
	qemu_took=$(echo "$t2 $t1" | awk '{ printf "%.3f\n", ($1 - $2) * 1e3 }')
}

peers_title="Dumps of the same contents"
peers_about="A guest that is 90 % filled with incompressible bytes, dumped to the same tmpfs. dump: from the order to the finished file, the guest standing still in QEMU, its recovery VM booting beside minivmm's dump. qemu elf, qemu kdump-zlib: dump-guest-memory, and with -z, of the same stub with the same contents."
peers_base=vmapp
peers_round() {
	[ "$mode" != quick ] || return 0 # cell downtime has a dump of QEMU's, too
	local way options memory_mib=$(($(bytes_of "$memory") >> 20)) cmdline="scenario=panic-call fill=pattern:90"
	config "$memory" 1 "$cmdline" "scenario=ready-poweroff"
	while IFS='|' read -r way options <&3; do
		# shellcheck disable=SC2086 # options are words
		crash "$way" all $options || continue
		sample "$way" dump ms "$(after published dump-start)"
		sample "$way" size MiB "$dump_mib"
	done 3<<-END
		vmapp|
		vmapp,lz4|--set dump.compress=lz4
		remap|--set dump.strategy=remap
	END
	command -v qemu-system-x86_64 >/dev/null || return 0
	for options in "" -z; do
		[ -z "$options" ] || often || continue
		way="qemu elf"
		[ -z "$options" ] || way="qemu kdump-zlib"
		note "$way"
		qemu_crash microvm "$cmdline" $((memory_mib * 8 / 10)) "$options" || continue
		sample "$way" dump ms "$qemu_took"
		sample "$way" size MiB "$qemu_mib"
	done
}
