/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/loader.h - puts a kernel image and its boot data into an empty region (PVH boot protocol).
 */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include "vmm/region.h"

/* What the boot processor must start with. */
struct boot_entry {
	uint32_t rip; /* 32-bit entry point, paging off */
	uint32_t rbx; /* guest-physical address of struct hvm_start_info */
};

/*
 * loader_load - load ELF image @path with @cmdline into @region.
 * Errors: -errno with a sentence in @why that names the file; -EINVAL for a bad image, -E2BIG for a
 * command line over BOOT_CMDLINE_MAX - 1 bytes, -ENOSPC for a full tmpfs.
 */
int warn_unused loader_load(struct region *region, const char *path, const char *cmdline,
	struct boot_entry *ret, char *why, size_t why_size);

#endif /* VMM_LOADER_H */
