# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The selective dump of a Linux guest.  Takes minutes, most of them to boot it without KVM: full mode, or by name.
slow_cell linux-select

linux_select_title="Selective dump of a Linux guest"
linux_select_about="Debian's cloud kernel 6.1 in QEMU, stopped after its panic: what level 31 keeps of it, to the same tmpfs. minivmm: the dumper's engine, vmapp, select linux:31, one worker, from its start to publication; minivmm, excluded: of that, until all that is left out has been given back; qemu, makedumpfile: dump-guest-memory (ELF), makedumpfile -d 31 of that dump, and both; -l: with LZO. part: of the engine's work, one thread, nine times on the same memory; in vain: after the note had been destroyed. That the same frames are left out was checked in each round. All rounds are run within the first."
linux_select_base=minivmm

linux_select_round() {
	local runs_here=${runs:-5}
	local -A sample_names=([ours]=minivmm [selected]="minivmm, excluded" [lzo]="makedumpfile -l" [both]="qemu + makedumpfile"
		[found]="VMCOREINFO found" [in-vain]="looked for in vain" [classified]="all frames classified")
	[ "$round" -eq 1 ] || return 0
	command -v qemu-system-x86_64 >/dev/null && command -v makedumpfile >/dev/null ||
		skipped "" "qemu-system-x86_64 or makedumpfile is not installed" || return 0
	note "$runs_here rounds"
	script_samples dump bench/linux-select "$build" "$runs_here" $(($(bytes_of "$memory") >> 20))
}
