/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/loader.h - puts a kernel, its initrd, command line and boot data into an empty region.
 *
 *      loader.c        the files; which of the two it is
 *      loader_memory.c the initrd, the command line, the memory map
 *      loader_pvh.c    ELF image with a PVH entry note: the guest stub, vmlinux, unikernels
 *      loader_linux.c  bzImage, entered in long mode
 *
 * The guest is told that its ACPI tables begin at ACPI_BASE; acpi.h puts them there.
 */
#ifndef VMM_BOOT_LOADER_H
#define VMM_BOOT_LOADER_H

#include "vmm/memory/region.h"

/* Borrowed strings. */
struct boot_source {
	const char *kernel; /* path */
	const char *initrd; /* path, "" = none */
	const char *cmdline;
};

/* What the boot processor must start with. */
struct boot_entry {
	bool long_mode; /* 64-bit entry with paging on; else 32-bit, paging off */
	uint64_t rip;
	uint64_t rbx; /* PVH: guest-physical address of struct hvm_start_info */
	uint64_t rsi; /* Linux: of struct boot_params */
};

/*
 * loader_load - load what @source names into @region.
 * Errors: -errno with a sentence in @why that names the file; -EINVAL for a bad image or one that does not fit,
 * -E2BIG for a command line that the kernel cannot take, -ENOSPC for a full tmpfs.  *ret is unchanged then.
 */
int warn_unused loader_load(struct region *region, const struct boot_source *source, struct boot_entry *ret,
	char *why, size_t why_size);

#endif /* VMM_BOOT_LOADER_H */
