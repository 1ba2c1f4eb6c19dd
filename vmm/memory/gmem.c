/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/gmem.c - see gmem.h */
#include "vmm/memory/gmem.h"

#include "dump/base/io.h"
#include "vmm/memory/gate.h"

#include <sys/mman.h>

int gmem_copy_in(const struct region *region, gpa_t gpa, void *dst, size_t len)
{
	uint64_t off;
	int err;

	err = region_offset(region, gpa, len, &off);
	return err ? err : io_pread_full(region->fd, dst, len, region->layout.head + off);
}

int gmem_copy_out(const struct region *region, gpa_t gpa, const void *src, size_t len)
{
	struct gate *gate;
	uint64_t off;
	int err;

	err = region_offset(region, gpa, len, &off);
	if (err)
		return err;
	gate = atomic_load(&region->gate);
	if (gate)
		gate_touch(gate, region, off, len);
	return io_pwrite_full(region->fd, src, len, region->layout.head + off);
}

int gmem_iov(const struct region *region, gpa_t gpa, size_t len, struct iovec *ret)
{
	uint64_t off;
	int err;

	err = region_offset(region, gpa, len, &off);
	if (!err)
		*ret = (struct iovec){.iov_base = region->map + off, .iov_len = len};
	return err;
}

int gmem_pin(const struct region *region, gpa_t gpa, size_t len, void **ret)
{
	uint64_t off, start, end;
	int err;

	err = region_offset(region, gpa, len, &off);
	if (err)
		return err;
	start = u64_align_down(off, PAGE_SIZE_4K);
	end = u64_align_up(off + len, PAGE_SIZE_4K); /* RAM is a whole number of pages */
	while (io_test_fails(IO_POPULATE, NULL) ||
		madvise(region->map + start, end - start, MADV_POPULATE_WRITE) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	*ret = region->map + off;
	return 0;
}
