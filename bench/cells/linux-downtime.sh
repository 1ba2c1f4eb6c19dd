# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
# What the client of a Debian guest sees.  Takes minutes a round: full mode, or by name.
slow_cell linux-downtime

linux_downtime_title="Downtime of a Debian guest (emulated)"
linux_downtime_about="In the nested machine, whose two CPUs QEMU emulates: only ratios count. Debian 6.1, 1 GiB, 1 vCPU, 60 % of its memory filled. downtime: by a client outside, last answer before the panic to the first one after; the answers are a counter on the guest's disk, none of which was lost. none: no dump; concurrent, serial: minivmm with the recovery VM beside or behind the dump, of all pages or of what linux:31 selects, on tmpfs or on the machine's disk; qemu: dump-guest-memory (ELF) to the same tmpfs, then system_reset; qemu,none: the reset alone; kdump: in minivmm, the guest's own crash kernel, makedumpfile -d 31 to its disk, then a reboot. In each dump makedumpfile found the panic. no VM runs: of the downtime, from the moment that the VMM knows of the panic to the moment that a VM runs again; the rest is the guest's own panic and boot."
linux_downtime_base=concurrent,linux

linux_downtime_round() {
	local status=0 logs=$out/linux-downtime/$round
	note "takes minutes"
	rm -rf "$logs"
	OUT=$logs bench/linux-downtime "$minivmm" 1 >"$work/linux.log" 2>&1 || status=$?
	sed -E "s/\"round\":1([,}])/\"round\":$round\\1/" "$logs/results" >>"$results" || true
	grep FAILED "$work/linux.log" >&2 || true
	# 1: that of a variant, which is in the results
	[ $status -le 1 ] || failed all "status $status: $(grep -m 1 '^nested:' "$work/linux.log" || tail -n 1 "$work/linux.log")" || true
}
