/* SPDX-License-Identifier: Apache-2.0 */
/* dump/region/dead_region.c - see dead_region.h */
#include "dump/region/dead_region.h"

#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* our choice: some 100 ms in all, longer than whoever holds a huge page for a moment is kept from going on */
#define REPEATS_MAX 20000

void dead_region_init(struct dead_region *region, int fd, const struct dump_layout *layout)
{
	*region = (struct dead_region){.fd = fd, .layout = layout};
	pthread_mutex_init(&region->extent_lock, NULL);
}

void dead_region_fini(struct dead_region *region)
{
	if (region->ram)
		munmap(region->ram, region->layout->ram);
	region->ram = NULL;
	pthread_mutex_destroy(&region->extent_lock);
}

int dead_region_map(struct dead_region *region)
{
	void *at = mmap(NULL, region->layout->ram, PROT_READ, MAP_SHARED | MAP_NORESERVE, region->fd,
		(off_t)region->layout->head);

	if (at == MAP_FAILED)
		return -errno;
	region->ram = at;
	return 0;
}

/* Makes the cached run the one that @from lies in, or the next one; -ENXIO if there is none. */
static int find_extent(struct dead_region *region, uint64_t from)
{
	uint64_t head = region->layout->head;
	off_t start, stop;

	if (from >= region->extent_start && from < region->extent_end)
		return 0;
	start = io_test_fails(IO_SEEK, NULL) ? -1 : lseek(region->fd, (off_t)(head + from), SEEK_DATA);
	if (start < 0)
		return -errno;
	if ((uint64_t)start - head >= region->extent_start && (uint64_t)start - head < region->extent_end)
		return 0;
	stop = io_test_fails(IO_SEEK, NULL) ? -1 : lseek(region->fd, start, SEEK_HOLE);
	if (stop < 0)
		return -errno;
	region->extent_start = (uint64_t)start - head;
	region->extent_end = (uint64_t)stop - head;
	return 0;
}

int dead_region_extent(
	struct dead_region *region, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start, stop;
	int r;

	if (from >= end)
		return 0;
	pthread_mutex_lock(&region->extent_lock);
	r = find_extent(region, from);
	start = u64_max(region->extent_start, from);
	stop = u64_min(region->extent_end, end);
	pthread_mutex_unlock(&region->extent_lock);
	if (r)
		return r == -ENXIO ? 0 : r;
	if (start >= end)
		return 0;
	*ret_start = start;
	*ret_end = stop;
	return 1;
}

void dead_region_forget_extents(struct dead_region *region)
{
	pthread_mutex_lock(&region->extent_lock);
	region->extent_start = 0;
	region->extent_end = 0;
	pthread_mutex_unlock(&region->extent_lock);
}

static bool is_populated(const struct dead_region *region, uint64_t off, uint64_t len)
{
	off_t data = lseek(region->fd, (off_t)(region->layout->head + off), SEEK_DATA);

	return data >= 0 && (uint64_t)data < region->layout->head + off + len;
}

/*
 * A part of a huge page that somebody else holds at that moment, the reaper that unmaps it for one, is zeroed, but its
 * memory stays: it cannot be split then.  So it is tried again.
 */
int dead_region_release(struct dead_region *region, uint64_t off, uint64_t len)
{
	int r;

	do
		r = io_fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			region->layout->head + off, len);
	while (!r && is_populated(region, off, len) &&
		atomic_fetch_add(&region->repeated, 1) < REPEATS_MAX);
	return r;
}

uint64_t dead_region_host_bytes(const struct dead_region *region)
{
	return u64_min(io_bytes_behind(region->fd), region->layout->ram);
}
