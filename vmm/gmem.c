/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/gmem.c - see gmem.h */
#include "vmm/gmem.h"

#include "dump/base/io.h"
#include "vmm/gate.h"

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
