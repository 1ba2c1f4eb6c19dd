/* SPDX-License-Identifier: Apache-2.0 */
/* dump/select/select_pages.c - see select_pages.h; and the selector `pages` */
#include "dump/select/select_pages.h"

#include "dump/base/bitmap.h"
#include "dump/base/cleanup.h"
#include "dump/select/selection.h"
#include "firmware/abi.h"

#include <errno.h>

/* One pass over the descriptors of one segment. */
struct pages_job {
	uint64_t *unused;
	uint64_t page_of_frame; /* page of RAM offset = frame + this, modulo 2^64 */
	uint64_t nr_unused;
};

/* Bit n: descriptor n excludes its page.  @nr is 64 or less. */
static uint64_t unused_mask(const struct fw_page_desc *desc, uint64_t nr)
{
	uint64_t mask = 0;

	for (uint64_t i = 0; i < nr; i++)
		mask |= (uint64_t)(desc[i].refcount == 0 || (desc[i].flags & FW_PAGE_FREE) != 0) << i;
	return mask;
}

static void classify(void *arg, const void *entries, uint64_t first, uint64_t count)
{
	struct pages_job *job = arg;
	const struct fw_page_desc *desc = entries;

	for (uint64_t i = 0; i < count; i += 64) {
		uint64_t mask = unused_mask(desc + i, u64_min(count - i, 64));

		job->nr_unused += (uint64_t)__builtin_popcountll(mask);
		bitmap_set_mask(job->unused, first + i + job->page_of_frame, mask);
	}
}

static const char *reason_of(int error)
{
	switch (error) {
	case -EFAULT:
		return "the page descriptors are outside RAM";
	case -ENOMEM:
		return "no memory to read the page descriptors";
	default:
		return "the crashed VM's memory cannot be read";
	}
}

/* Clears the bits of the array's own pages. */
static void keep_array(const struct dump_layout *layout, uint64_t gpa, uint64_t bytes, uint64_t *unused)
{
	uint64_t off, first, end;
	int r;

	r = dump_layout_offset(layout, gpa, bytes, &off);
	assert(!r); /* it has been read */
	(void)r;
	first = off / PAGE_SIZE_4K;
	end = (off + bytes + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	for (uint64_t page = first; page < end; page++)
		bitmap_clear(unused, page);
}

const char *select_pages_mark(
	const struct guest_view *view, uint64_t page_desc, uint64_t nr_page_desc, uint64_t *unused)
{
	const struct dump_layout *layout = view->layout;
	struct pages_job job = {.unused = unused};
	uint64_t bytes, off;

	if (!page_desc || !nr_page_desc)
		return "the guest gave no page descriptors";
	if (page_desc % sizeof(struct fw_page_desc))
		return "the page descriptors are not aligned";
	if (u64_mul_overflows(nr_page_desc, sizeof(struct fw_page_desc), &bytes) ||
		dump_layout_offset(layout, page_desc, bytes, &off))
		return reason_of(-EFAULT);
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];
		uint64_t first = seg->gpa / PAGE_SIZE_4K;
		uint64_t end = u64_min(first + seg->size / PAGE_SIZE_4K, nr_page_desc);
		int r;

		if (first >= end)
			break;
		job.page_of_frame = seg->off / PAGE_SIZE_4K - first;
		r = guest_view_array(
			view, page_desc, sizeof(struct fw_page_desc), first, end, classify, &job);
		if (r)
			return reason_of(r);
	}
	/* A guest that runs uses memory: such an array is not what it is said to be. */
	if (job.nr_unused == layout->ram / PAGE_SIZE_4K)
		return "the page descriptors say that no page is in use";
	keep_array(layout, page_desc, bytes, unused);
	return NULL;
}

int select_pages(struct selection *selection)
{
	const struct guest_view view = {.fd = selection->region->fd, .layout = selection->region->layout};
	const struct fw_panic *panic = &selection->record->panic;
	uint64_t words = bitmap_words(view.layout->ram / PAGE_SIZE_4K);
	autofree uint64_t *unused = calloc(words, sizeof(*unused));
	const char *why;

	if (!unused)
		return -ENOMEM;
	why = select_pages_mark(&view, panic->page_desc, panic->nr_page_desc, unused);
	if (why) {
		dump_select_distrust(selection, DUMP_SELECTOR_PAGES, why);
		return 0;
	}
	for (uint64_t i = 0; i < words; i++)
		selection->selected[i] &= ~unused[i];
	return 0;
}
