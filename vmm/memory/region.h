/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/region.h - the RAM of one VM: an unnamed file on tmpfs, laid out as a vmcore (dump/region/layout.h).
 *
 * The file is mapped once, for KVM's memory slots.  minivmm itself never dereferences the mapping:
 * gmem.h copies through the file, so that a full tmpfs is an error and not a SIGBUS.
 *
 * Locks: none.  The layout is fixed at creation; one thread creates, unmaps and destroys.  How much of it the
 * VM has may grow while the VM runs (grants.h); any thread may ask.
 */
#ifndef VMM_MEMORY_REGION_H
#define VMM_MEMORY_REGION_H

#include "dump/region/layout.h"

#include <stdatomic.h>

struct gate;

struct region {
	int fd; /* owned; the file can still be linked into its directory */
	struct dump_layout layout;
	_Atomic uint64_t
		usable;        /* RAM offsets below this are the VM's: layout.ram, or less while it grows */
	char *map;             /* owned; address of RAM offset 0, 2 MiB aligned; NULL when unmapped */
	void *reserve;         /* owned; the address range that holds @map */
	uint64_t reserve_size; /* bytes */
	_Atomic(struct gate *) gate; /* borrowed: what writes through the file wait for; NULL = nothing */
};

/*
 * region_create - a file of @ram bytes of guest RAM in @dir_fd (tmpfs), empty, mapped.
 * Errors: -errno.  Owner: region_destroy().
 */
int warn_unused region_create(struct region *ret, int dir_fd, uint64_t ram);

/* Drops the mapping; the file stays open.  For KVM slots this must come after the VM is gone. */
void region_unmap(struct region *region);

/* Unmaps and closes; accepts an all-zero region with fd -1. */
void region_destroy(struct region *region);

/* Bytes of RAM that the VM has. */
static inline uint64_t region_usable(const struct region *region)
{
	return atomic_load_explicit(&region->usable, memory_order_acquire); /* region_set_usable() */
}

static inline void region_set_usable(struct region *region, uint64_t usable)
{
	atomic_store_explicit(&region->usable, usable, memory_order_release); /* region_usable() */
}

/*
 * region_offset - RAM offset of guest-physical @gpa, of which @len bytes must be contiguous and the VM's.
 * Errors: -EFAULT otherwise.
 */
int warn_unused region_offset(const struct region *region, uint64_t gpa, uint64_t len, uint64_t *ret_off);

/* Host address of RAM offset @off, for memory slots only. */
static inline uint64_t region_hva(const struct region *region, uint64_t off)
{
	return (uint64_t)(uintptr_t)region->map + off;
}

#endif /* VMM_MEMORY_REGION_H */
