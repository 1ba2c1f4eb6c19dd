/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/loader_memory.h - what both kinds of kernel need: copies of files in guest memory, the initrd, the command line,
 * the memory map; loader.h is the interface.
 */
#ifndef VMM_BOOT_LOADER_MEMORY_H
#define VMM_BOOT_LOADER_MEMORY_H

#include "vmm/boot/loader.h"
#include "vmm/memory/memmap.h"

#include <stdio.h>

/* ACPI specification 15, address range types; e820 and PVH use the same numbers */
#define LOADER_RAM 1
#define LOADER_RESERVED 2

#define LOADER_RANGES_MAX (DUMP_SEGMENTS_MAX + 2)

/* One load in progress. */
struct loader {
	struct region *region;            /* borrowed */
	const struct boot_source *source; /* borrowed */
	int kernel_fd, initrd_fd;         /* owned; initrd_fd -1 = none */
	uint64_t initrd_size;             /* bytes */
	gpa_t initrd;                     /* where it went */
	char *buf;                        /* owned: LOADER_COPY bytes */
	char *why;                        /* borrowed: sentence for a human */
	size_t why_size;
};

/* our choice: stays in a level-2 cache between read and write */
#define LOADER_COPY KIB(256)

#define LOADER_BAD(l, file, err, ...)                                                                      \
	(snprintf((l)->why, (l)->why_size, __VA_ARGS__), loader_blame(l, file), err)

/* Puts "FILE: " before the sentence. */
void loader_blame(struct loader *l, const char *file);

/* Copies [@from, @from + @len) of @fd to guest-physical @to.  Errors: -errno, no sentence. */
int warn_unused loader_copy(struct loader *l, int fd, uint64_t from, gpa_t to, uint64_t len);

/*
 * loader_put_initrd - load the initrd, if there is one, as high as it fits below @limit (and the hole), but not
 * below @floor.  Fills in l->initrd.
 */
int warn_unused loader_put_initrd(struct loader *l, gpa_t floor, gpa_t limit);

/* Writes the command line; at most @max bytes without the NUL. */
int warn_unused loader_put_cmdline(struct loader *l, uint64_t max);

/* Memory map for the guest: RAM, and the reserved end of the first megabyte. */
struct loader_range {
	uint64_t start, size; /* bytes */
	uint32_t type;        /* LOADER_* */
};
uint32_t loader_memory_map(const struct region *region, struct loader_range ret[static LOADER_RANGES_MAX]);

/* The two kinds, each in its file: load the kernel and what it is to find. */
int warn_unused loader_pvh(struct loader *l, struct boot_entry *ret);
int warn_unused loader_linux(struct loader *l, struct boot_entry *ret);

#endif /* VMM_BOOT_LOADER_MEMORY_H */
