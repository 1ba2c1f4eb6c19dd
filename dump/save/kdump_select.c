/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/kdump_select.c - which pages a kdump file has: see kdump.h */
#include "dump/save/kdump_impl.h"

#include "dump/base/bitmap.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>

/* our choice: 16 TiB of guest-physical addresses; a bitmap has a bit for each page */
#define FRAMES_MAX (1ull << 32)
/*
 * our choices: so much memory costs 64 MiB of tables whatever is in the file; who names more has so many pages in the file for
 * each page that is not
 */
#define ABSENT_PAGES_FREE (1ull << 28)
#define ABSENT_PAGES_PER_PAGE 1024

static bool is_selected(const struct kdump_writer *w, uint64_t image_off)
{
	if (!w->selected || !reader_is_ram(w->reader, image_off))
		return true;
	return bitmap_test(w->selected, (image_off - w->reader->trailer.head) / PAGE_SIZE_4K);
}

static int load_selection(struct kdump_writer *w)
{
	const struct vmcore_trailer *trailer = &w->reader->trailer;
	uint64_t pages = trailer->ram / PAGE_SIZE_4K;

	if (!w->reader->has_trailer)
		return 0;
	w->selected = calloc((pages + 63) / 64, sizeof(uint64_t));
	if (!w->selected)
		return -ENOMEM;
	return image_read(&w->reader->image, trailer->places.bitmap_off, w->selected, (pages + 7) / 8);
}

/* The tables are known before anything is written.  What the pages take when they are packed is not. */
static int check_room(const struct kdump_writer *w, uint64_t nr_kept)
{
	uint64_t need = 2 * w->bitmap_blocks * KDUMP_BLOCK + nr_kept * sizeof(struct kdump_page_desc);
	struct statvfs fs;

	if (w->there)
		return 0;
	/* some file systems do not know */
	if (fstatvfs(w->fd, &fs) < 0 || !fs.f_blocks)
		return 0;
	return fs.f_bavail < need / fs.f_frsize ? -ENOSPC : 0;
}

/* Frames of the segment of which the file has a byte, [*ret_first, result). */
static uint64_t frames_there(const struct core_segment *seg, uint64_t *ret_first)
{
	uint64_t last = (seg->gpa + seg->size) / PAGE_SIZE_4K;

	*ret_first = (seg->gpa + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	if (!seg->file_bytes)
		return *ret_first;
	last = u64_min(last, (seg->gpa + seg->file_bytes + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K);
	return u64_max(last, *ret_first);
}

static void take_segment(struct kdump_writer *w, const struct core_segment *seg)
{
	uint64_t first, there = frames_there(seg, &first), last = (seg->gpa + seg->size) / PAGE_SIZE_4K;

	if (first < last)
		bitmap_set_range(w->memory, first, last);
	if (!w->selected)
		bitmap_set_range(w->kept, first, there);
	for (uint64_t pfn = first; w->selected && pfn < there; pfn++)
		if (is_selected(w, seg->off + (pfn * PAGE_SIZE_4K - seg->gpa)))
			bitmap_set(w->kept, pfn);
}

static int find_pages(struct kdump_writer *w)
{
	const struct elfcore *core = &w->reader->core;
	uint64_t end = 0, there = 0, first;
	int r;

	for (size_t i = 0; i < core->nr_segments; i++) {
		end = u64_max(end, core->segments[i].gpa + core->segments[i].size);
		there += frames_there(&core->segments[i], &first) - first;
	}
	w->frames = end / PAGE_SIZE_4K;
	w->bitmap_blocks = (w->frames + 8 * KDUMP_BLOCK - 1) / (8 * KDUMP_BLOCK);
	if (!w->frames || w->frames > FRAMES_MAX)
		return -EFBIG;
	r = check_room(w, w->selected ? 0 : there); /* before there are tables in memory */
	if (r)
		return r;
	w->memory = calloc(w->bitmap_blocks, KDUMP_BLOCK);
	w->kept = calloc(w->bitmap_blocks, KDUMP_BLOCK);
	if (!w->memory || !w->kept)
		return -ENOMEM;
	for (size_t i = 0; i < core->nr_segments; i++)
		take_segment(w, &core->segments[i]);
	w->nr_memory = bitmap_count(w->memory, w->frames);
	w->nr_kept = bitmap_count(w->kept, w->frames);
	return check_room(w, w->nr_kept);
}

int kdump_select(struct kdump_writer *w)
{
	int r = load_selection(w);

	return r ? r : find_pages(w);
}

const char *kdump_check(struct reader *reader)
{
	uint64_t absent = 0, there = 0;

	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *seg = &reader->core.segments[i];

		there += seg->file_bytes / PAGE_SIZE_4K;
		absent += (seg->size - u64_min(seg->size, seg->file_bytes)) / PAGE_SIZE_4K;
	}
	if (absent <= ABSENT_PAGES_FREE || absent / ABSENT_PAGES_PER_PAGE <= there)
		return NULL;
	return "its headers name far more memory than the file holds, and a kdump file has a bit for each "
	       "page";
}
