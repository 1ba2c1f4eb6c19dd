/* SPDX-License-Identifier: Apache-2.0 */
/* dump/region/guest_view.c - see guest_view.h */
#include "dump/region/guest_view.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <errno.h>

/* measured: a block that stays in the L2 cache between the copy and its use; larger ones are no faster */
#define BLOCK_BYTES KIB(256)

int guest_view_read(const struct guest_view *view, uint64_t gpa, void *buf, size_t len)
{
	uint64_t off;
	int r;

	if (view->read)
		return view->read(view->arg, gpa, buf, len);
	r = dump_layout_offset(view->layout, gpa, len, &off);
	if (r)
		return r;
	return io_pread_full(view->fd, buf, len, view->layout->head + off);
}

int guest_view_array(const struct guest_view *view, uint64_t gpa, size_t size, uint64_t first, uint64_t end,
	guest_view_block_fn *fn, void *arg)
{
	uint64_t per_block = BLOCK_BYTES / size;
	uint64_t bytes, off;
	autofree void *block = NULL;
	int r;

	assert(u64_is_pow2(size) && size <= PAGE_SIZE_4K && first <= end);
	if (u64_mul_overflows(end, size, &bytes))
		return -EFAULT;
	r = dump_layout_offset(view->layout, gpa, bytes, &off);
	if (r)
		return r;
	block = aligned_alloc(PAGE_SIZE_4K, BLOCK_BYTES);
	if (!block)
		return -ENOMEM;
	off += view->layout->head;
	for (uint64_t count; first < end; first += count) {
		count = u64_min(per_block, end - first);
		r = io_pread_full(view->fd, block, count * size, off + first * size);
		if (r)
			return r;
		fn(arg, block, first, count);
	}
	return 0;
}
