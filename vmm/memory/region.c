/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/region.c - see region.h */
#include "vmm/memory/region.h"

#include "vmm/memory/memmap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Maps RAM at a 2 MiB boundary: huge pages of the file (whose RAM starts at a multiple of 2 MiB) and
 * of the host's address space must coincide.
 */
static int map_ram(struct region *region)
{
	uint64_t ram = region->layout.ram;
	uintptr_t aligned;
	void *map;

	region->reserve_size = ram + PAGE_SIZE_2M;
	region->reserve = mmap(
		NULL, region->reserve_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region->reserve == MAP_FAILED) {
		region->reserve = NULL;
		return -errno;
	}
	aligned = u64_align_up((uintptr_t)region->reserve, PAGE_SIZE_2M);
	map = mmap((char *)region->reserve + (aligned - (uintptr_t)region->reserve), ram,
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, region->fd,
		(off_t)region->layout.head);
	if (map == MAP_FAILED)
		return -errno;
	region->map = map;
	/* hints: huge=advise needs the first; core dumps of minivmm must not contain the guest */
	(void)madvise(map, ram, MADV_HUGEPAGE);
	(void)madvise(map, ram, MADV_DONTDUMP);
	return 0;
}

int region_create(struct region *ret, int dir_fd, uint64_t ram)
{
	struct region region = {.fd = -1};
	int err;

	err = dump_layout_init(&region.layout, ram, HOLE_BASE, HOLE_END);
	if (err)
		return err;
	region.fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (region.fd < 0 || ftruncate(region.fd, (off_t)dump_layout_file_size(&region.layout)) < 0)
		err = -errno;
	else
		err = map_ram(&region);
	if (err) {
		region_destroy(&region);
		return err;
	}
	region.usable = region.layout.ram;
	*ret = region;
	return 0;
}

int region_offset(const struct region *region, uint64_t gpa, uint64_t len, uint64_t *ret_off)
{
	uint64_t usable = region_usable(region), off;
	int err = dump_layout_offset(&region->layout, gpa, len, &off);

	if (err)
		return err;
	if (off >= usable || len > usable - off)
		return -EFAULT;
	*ret_off = off;
	return 0;
}

void region_unmap(struct region *region)
{
	if (region->reserve)
		munmap(region->reserve, region->reserve_size);
	region->reserve = NULL;
	region->map = NULL;
}

void region_destroy(struct region *region)
{
	region_unmap(region);
	if (region->fd >= 0)
		close(region->fd);
	region->fd = -1;
}
