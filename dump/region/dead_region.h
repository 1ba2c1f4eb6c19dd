/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/region/dead_region.h - the crashed VM's memory while a dump is made of it: its RAM mapped for reading, what of it has
 * memory behind it, and giving that back to the host.
 *
 * Offsets are RAM offsets, in bytes.  Knows nothing of dumps, marks and names: whoever releases has made sure that
 * nothing is lost.  Locks: any thread, but for init and fini.
 */
#ifndef DUMP_REGION_DEAD_REGION_H
#define DUMP_REGION_DEAD_REGION_H

#include "dump/region/layout.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct dead_region {
	int fd;                           /* borrowed: read-write, of the layout's size */
	const struct dump_layout *layout; /* borrowed */
	unsigned char *ram; /* mapped shared, NULL = not yet: reading a hole here would allocate it */

	/* The last run that dead_region_extent found; empty at first. */
	pthread_mutex_t extent_lock; /* guards the two fields below */
	uint64_t extent_start, extent_end;

	_Atomic uint32_t repeated; /* punches that were made again */
};

/* @fd and @layout are borrowed until dead_region_fini(). */
void dead_region_init(struct dead_region *region, int fd, const struct dump_layout *layout);
void dead_region_fini(struct dead_region *region);

/* Maps the RAM: region->ram.  0 or -errno. */
int warn_unused dead_region_map(struct dead_region *region);

/*
 * dead_region_extent - next run of RAM that has memory behind it, as it was before any chunk was done.
 * Result: 1 and *ret_start, *ret_end within [@from, @end); 0 when all the rest is hole; or -errno.
 * Asking in ascending order is cheap: the kernel walks each run once, to its end.
 */
int warn_unused dead_region_extent(
	struct dead_region *region, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

/* The runs that dead_region_extent() knows have changed. */
void dead_region_forget_extents(struct dead_region *region);

/*
 * dead_region_release - punch [@off, @off + @len) of RAM out of the region.  Nothing in there may be needed any
 * more: excluded by the page bitmap in the file, or marked as done in its progress table.
 * Errors: -errno.
 */
int warn_unused dead_region_release(struct dead_region *region, uint64_t off, uint64_t len);

/* Host memory behind the region, RAM only but for some KiB of tables; 0 if it cannot be asked. */
uint64_t dead_region_host_bytes(const struct dead_region *region);

#endif /* DUMP_REGION_DEAD_REGION_H */
