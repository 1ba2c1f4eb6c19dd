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

/* Files of a source that are held open; -1 = not, or there is none. */
struct boot_files {
	int kernel, initrd; /* owned */
};
#define BOOT_FILES_NONE ((struct boot_files){-1, -1})

/* Everything borrowed. */
struct boot_source {
	const char *kernel; /* path */
	const char *initrd; /* path, "" = none */
	const char *cmdline;
	const struct boot_files *files; /* read instead of the paths, where open; NULL = none is */
	const _Atomic bool *unwanted;   /* true: loading ends with -ECANCELED soon; NULL = never */
};

/* Opens what can be opened of @source; what is missing is left to loader_load() to report.  Owner: boot_files_close(). */
void boot_files_open(struct boot_files *ret, const struct boot_source *source);
void boot_files_close(struct boot_files *files);

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
 * -E2BIG for a command line that the kernel cannot take, -ENOSPC for a full tmpfs, -ECANCELED.  *ret is unchanged then.
 */
int warn_unused loader_load(struct region *region, const struct boot_source *source, struct boot_entry *ret,
	char *why, size_t why_size);

#endif /* VMM_BOOT_LOADER_H */
