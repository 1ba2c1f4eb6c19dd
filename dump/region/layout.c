/* SPDX-License-Identifier: Apache-2.0 */
/* dump/region/layout.c - see layout.h */
#include "dump/region/layout.h"

#include <errno.h>

static bool is_page_multiple(uint64_t v)
{
	return !(v % PAGE_SIZE_4K);
}

static bool ram_is_valid(uint64_t ram)
{
	return ram && ram <= DUMP_RAM_MAX && is_page_multiple(ram);
}

static bool hole_is_valid(uint64_t start, uint64_t end)
{
	return start <= end && end <= DUMP_RAM_MAX && is_page_multiple(start) && is_page_multiple(end);
}

uint64_t dump_layout_tail_min(uint64_t ram)
{
	uint64_t pages = ram / PAGE_SIZE_4K;
	uint64_t bitmap = u64_align_up((pages + 7) / 8, PAGE_SIZE_4K);
	uint64_t progress = u64_align_up((ram + DUMP_CHUNK_MIN - 1) / DUMP_CHUNK_MIN, PAGE_SIZE_4K);

	return bitmap + progress + PAGE_SIZE_4K;
}

/*
 * Bytes that the block table of a compressed dump needs besides (dump/format/vmcore.h, vmcore_blocks_off): 16 for
 * each of the smallest chunks, and a page for its header and the blocks of head and tail.
 */
static uint64_t blocks_room(uint64_t ram)
{
	return u64_align_up(ram / DUMP_CHUNK_MIN * 16, PAGE_SIZE_4K) + 2 * PAGE_SIZE_4K;
}

static void add_segment(struct dump_layout *layout, uint64_t gpa, uint64_t size)
{
	if (!size)
		return;
	layout->segments[layout->nr_segments++] = (struct dump_segment){
		.gpa = gpa, .size = size, .off = layout->ram};
	layout->ram += size;
}

int dump_layout_init(struct dump_layout *ret, uint64_t ram, uint64_t hole_start, uint64_t hole_end)
{
	struct dump_layout layout = {.head = DUMP_HEAD_ROOM};
	uint64_t below = u64_min(ram, hole_start);

	if (!ram_is_valid(ram) || !hole_is_valid(hole_start, hole_end))
		return -EINVAL;
	if (hole_start == hole_end)
		below = ram;
	add_segment(&layout, 0, below);
	add_segment(&layout, hole_end, ram - below);
	layout.tail = u64_align_up(layout.head + ram + dump_layout_tail_min(ram) + blocks_room(ram),
			      PAGE_SIZE_2M) -
		      layout.head - ram;
	*ret = layout;
	return 0;
}

/* True if the segment begins at RAM offset @off, at or above @gpa_min, and breaks no rule. */
static bool segment_is_valid(const struct dump_segment *seg, uint64_t gpa_min, uint64_t off)
{
	uint64_t end;

	return is_page_multiple(seg->gpa) && ram_is_valid(seg->size) && seg->gpa >= gpa_min &&
	       seg->off == off && !u64_add_overflows(seg->gpa, seg->size, &end);
}

int dump_layout_check(const struct dump_layout *layout)
{
	uint64_t gpa_min = 0;
	uint64_t off = 0;

	if (!layout->head || layout->head > DUMP_RAM_MAX || layout->head % PAGE_SIZE_2M)
		return -EINVAL;
	if (!ram_is_valid(layout->ram) || !is_page_multiple(layout->tail) || layout->tail > DUMP_RAM_MAX ||
		layout->tail < dump_layout_tail_min(layout->ram))
		return -EINVAL;
	if (!layout->nr_segments || layout->nr_segments > DUMP_SEGMENTS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];

		if (!segment_is_valid(seg, gpa_min, off))
			return -EINVAL;
		gpa_min = seg->gpa + seg->size;
		off += seg->size;
	}
	return off == layout->ram ? 0 : -EINVAL;
}

int dump_layout_offset(const struct dump_layout *layout, uint64_t gpa, uint64_t len, uint64_t *ret_off)
{
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];

		if (gpa < seg->gpa || gpa - seg->gpa >= seg->size)
			continue;
		if (len > seg->size - (gpa - seg->gpa))
			return -EFAULT;
		*ret_off = seg->off + (gpa - seg->gpa);
		return 0;
	}
	return -EFAULT;
}
