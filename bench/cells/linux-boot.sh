# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The boot of a stock Debian kernel.
slow_cell linux-boot

linux_boot_title="Boot of a Debian kernel (emulated)"
linux_boot_about="In the nested machine, whose two CPUs QEMU emulates: only ratios count. Exec of the VMM to the line that the first user process of Debian's cloud kernel writes to its console; 512 MiB, 1 vCPU, the same kernel, initramfs and command line for all. microvm-bare: without option ROMs, PIT, PIC and RTC. All rounds are run within the first."
linux_boot_base=minivmm

linux_boot_round() {
	local runs_here=${runs:-5}
	local -A sample_names=()
	[ "$round" -eq 1 ] || return 0
	note "$runs_here rounds"
	script_samples boot bench/linux-boot "$build" "$runs_here"
}
