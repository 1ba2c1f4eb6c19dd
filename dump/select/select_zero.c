/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select_zero.c - the selector `zero`: pages of nothing but zeros need no bytes in the dump.
 *
 * They stay selected in the page bitmap: a selected page that is a hole in the file is a page of zeros.
 * Tested chunk by chunk right before the copy, which then finds the bytes in the cache.
 */
#include "dump/select/selection.h"

#include "dump/base/bitmap.h"
#include "dump/base/zero_pages.h"

#include <errno.h>
#include <sys/mman.h>

/* One call instead of a fault every few pages. */
static int map_pages(const struct selection *selection, uint64_t off, uint64_t len)
{
	int r;

	do
		r = madvise(selection->region->ram + off, len, MADV_POPULATE_READ);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	/* a kernel before 5.14 refuses; the pages are then mapped one by one as they are read */
	return r < 0 && errno != EINVAL ? -errno : 0;
}

/* Clears the bits of zero pages among [@first, @end), which are all to be copied and all in memory. */
static uint64_t drop_zeros(struct selection *selection, uint64_t first, uint64_t end)
{
	uint64_t sum = 0;

	while (first < end) {
		uint64_t nr = u64_min(end - first, ZERO_PAGES_MAX);
		uint64_t mask = zero_pages(selection->region->ram + first * PAGE_SIZE_4K, nr);

		if (mask) {
			bitmap_clear_mask_atomic(selection->copy, first, mask);
			sum += (uint64_t)__builtin_popcountll(mask);
		}
		first += nr;
	}
	return sum;
}

/* [@start, @end) has memory behind it, so that reading it allocates nothing. */
static int test_extent(struct selection *selection, uint64_t start, uint64_t end, uint64_t *sum)
{
	uint64_t page = start / PAGE_SIZE_4K, last = end / PAGE_SIZE_4K;
	int r;

	for (;;) {
		uint64_t first = bitmap_next(selection->copy, page, last, true);

		if (first == last)
			return 0;
		page = bitmap_next(selection->copy, first, last, false);
		r = map_pages(selection, first * PAGE_SIZE_4K, (page - first) * PAGE_SIZE_4K);
		if (r)
			return r;
		*sum += drop_zeros(selection, first, page);
	}
}

int select_zero(struct selection *selection, uint64_t index, uint64_t *ret_excluded)
{
	uint64_t off, len, start = 0, end = 0;
	int r;

	selection_chunk(selection, index, &off, &len);
	for (uint64_t at = off;
		(r = dead_region_extent(selection->region, at, off + len, &start, &end)) == 1; at = end) {
		r = test_extent(selection, start, end, ret_excluded);
		if (r)
			return r;
	}
	return r;
}
