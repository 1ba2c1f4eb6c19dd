/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/reader_count.c - what is known of pages: see reader.h */
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <string.h>

/* ---- one page ----------------------------------------------------------------------------------------- */

static int ram_page(struct reader *reader, uint64_t ram_off, enum reader_page *ret)
{
	uint64_t page = ram_off / PAGE_SIZE_4K;
	uint8_t selected = 0xff;
	bool done;
	bool has_rest = reader_pending_image(reader) || reader->kind == READER_REGION;
	int r = 0;

	if (reader_has_bitmap(reader))
		r = image_read(&reader->image, reader->trailer.places.bitmap_off + page / 8, &selected, 1);
	if (!r)
		r = reader_chunk_done(reader, ram_off / reader->trailer.chunk, &done);
	if (r)
		return r;
	if (!(selected >> page % 8 & 1))
		*ret = READER_PAGE_EXCLUDED;
	else if ((r = reader_check_lost(reader, reader->trailer.head + page * PAGE_SIZE_4K, PAGE_SIZE_4K)))
		*ret = READER_PAGE_MISSING;
	else if (done)
		*ret = reader_done_image(reader) ? READER_PAGE_DUMPED : READER_PAGE_MISSING;
	else
		*ret = has_rest ? READER_PAGE_PENDING : READER_PAGE_MISSING;
	return r == -ENODATA ? 0 : r;
}

int reader_page(struct reader *reader, uint64_t gpa, enum reader_page *ret)
{
	const struct core_segment *segment = elfcore_find(&reader->core, gpa);
	uint64_t off;

	if (!segment) {
		*ret = READER_PAGE_OUTSIDE;
		return 0;
	}
	off = segment->off + (gpa - segment->gpa);
	*ret = READER_PAGE_DUMPED;
	if (gpa - segment->gpa >= segment->file_bytes)
		return 0; /* the headers say that it is zeros */
	if (off >= reader->image.size)
		*ret = READER_PAGE_MISSING;
	else if (reader_is_ram(reader, off))
		return ram_page(reader, off - reader->trailer.head, ret);
	return 0;
}

/* ---- all pages ---------------------------------------------------------------------------------------- */

/* The tables of a block of RAM, in reader->scratch. */
struct block {
	uint64_t first, end; /* pages */
	uint64_t chunk_pages;
	uint8_t *bitmap;   /* of @first and the pages after it */
	uint8_t *progress; /* of the chunk that starts at @first, and those after it */
	bool uniform;      /* all pages are selected, and all chunks are in one state */
};

static int load_block(struct reader *reader, uint64_t first, struct block *block)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	uint64_t chunk_pages = trailer->chunk / PAGE_SIZE_4K;
	uint64_t pages = u64_min(READER_BLOCK_PAGES, trailer->ram / PAGE_SIZE_4K - first);
	uint64_t chunks = (pages + chunk_pages - 1) / chunk_pages;
	int r = 0;

	*block = (struct block){
		.first = first,
		.end = first + pages,
		.chunk_pages = chunk_pages,
		.bitmap = reader->scratch,
		.progress = reader->scratch + READER_BLOCK_BITMAP,
	};
	memset(block->bitmap, 0xff, READER_BLOCK_BITMAP);
	memset(block->progress, reader->kind == READER_COMPLETE ? VMCORE_CHUNK_DONE : VMCORE_CHUNK_PENDING,
		READER_BLOCK_CHUNKS);
	if (reader_has_bitmap(reader))
		r = image_read(&reader->image, trailer->places.bitmap_off + first / 8, block->bitmap,
			(pages + 7) / 8);
	if (!r && reader->kind == READER_PARTIAL)
		r = image_read(&reader->image, trailer->places.progress_off + first / chunk_pages,
			block->progress, chunks);
	block->uniform = !reader_has_bitmap(reader) &&
			 !memcmp(block->progress, block->progress + 1, chunks - 1);
	return r;
}

/*
 * Pages from @first on that are not selected because the bitmap is a hole there, in whole blocks; or all that follow.
 * So that a few bytes that claim to be terabytes are counted in no time.
 */
static int count_unselected(struct reader *reader, uint64_t first, uint64_t *ret)
{
	uint64_t at = reader->trailer.places.bitmap_off + first / 8;
	uint64_t left = reader->trailer.ram / PAGE_SIZE_4K - first;
	uint64_t start, end;
	uint8_t last;
	int r;

	*ret = 0;
	if (!reader_has_bitmap(reader) || !reader->image.format->data)
		return 0;
	r = image_data(&reader->image, at, &start, &end);
	if (r < 0)
		return r;
	if (r && start < at + (left + 7) / 8) {
		if (start > at)
			*ret = u64_align_down((start - at) * 8, READER_BLOCK_PAGES);
		return 0;
	}
	*ret = left;
	/* a file that has shrunk meanwhile has no data there either */
	return image_read(&reader->image, at + (left - 1) / 8, &last, 1);
}

/* Selected pages among [@from, @to) of the block. */
static uint64_t count_selected(const struct block *block, uint64_t from, uint64_t to)
{
	uint64_t bit = from - block->first, end = to - block->first;
	uint64_t nr = 0;

	while (bit < end) {
		unsigned left = (unsigned)u64_min(8 - bit % 8, end - bit);
		unsigned bits = block->bitmap[bit / 8] >> bit % 8 & ((1u << left) - 1);

		nr += (unsigned)__builtin_popcount(bits);
		bit += left;
	}
	return nr;
}

/* Selected pages among [@from, @to) of the block whose chunk is done, or, with @done false, is not. */
static uint64_t count_where(const struct block *block, uint64_t from, uint64_t to, bool done)
{
	uint64_t nr = 0;

	if (block->uniform)
		return (block->progress[0] == VMCORE_CHUNK_DONE) == done ? to - from : 0;
	while (from < to) {
		uint64_t index = (from - block->first) / block->chunk_pages;
		uint64_t stop = u64_min(to, block->first + (index + 1) * block->chunk_pages);

		if ((block->progress[index] == VMCORE_CHUNK_DONE) == done)
			nr += count_selected(block, from, stop);
		from = stop;
	}
	return nr;
}

/* Selected pages of the block that have something in the file, and whose chunk is done, or is not. */
static int count_filled(struct reader *reader, const struct block *block, bool done, uint64_t *ret)
{
	uint64_t head = reader->trailer.head;
	uint64_t at = head + block->first * PAGE_SIZE_4K, end = head + block->end * PAGE_SIZE_4K;
	uint64_t start, stop;
	int r = 0;

	*ret = 0;
	while (at < end && (r = image_data(&reader->image, at, &start, &stop)) == 1) {
		if (start >= end || stop <= at)
			return 0;
		start = u64_max(start, at);
		at = u64_min(stop, end);
		*ret += count_where(block, (start - head) / PAGE_SIZE_4K,
			(at - head + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K, done);
	}
	return r < 0 ? r : 0;
}

/* Of *@pages, which are done or not, those without memory behind them become *@missing. */
static int leave_out_lost(
	struct reader *reader, const struct block *block, bool done, uint64_t *pages, uint64_t *missing)
{
	uint64_t filled;
	int r = count_filled(reader, block, done, &filled);

	if (r)
		return r;
	filled = u64_min(filled, *pages);
	*missing += *pages - filled;
	*pages = filled;
	return 0;
}

static int count_block(struct reader *reader, const struct block *block, struct reader_counts *counts)
{
	uint64_t dumped = count_where(block, block->first, block->end, true);
	uint64_t rest = count_where(block, block->first, block->end, false);
	uint64_t excluded = block->end - block->first - dumped - rest;
	bool has_rest = reader_pending_image(reader) || reader->kind == READER_REGION;
	uint64_t missing = has_rest ? 0 : rest;
	uint64_t filled;
	int r = 0;

	if (!reader_done_image(reader)) {
		missing += dumped;
		dumped = 0;
	}
	if (reader_is_lossy(reader)) {
		r = leave_out_lost(reader, block, true, &dumped, &missing);
		if (!r)
			r = leave_out_lost(reader, block, false, &rest, &missing);
	}
	filled = dumped;
	if (!r && reader->image.format->data && dumped && !reader->compressed)
		r = count_filled(reader, block, true, &filled);
	counts->total += block->end - block->first;
	counts->dumped += dumped;
	counts->zero += dumped - u64_min(filled, dumped);
	counts->excluded += excluded;
	counts->pending += has_rest ? rest : 0;
	counts->missing += missing;
	return r;
}

static uint64_t pages_of(uint64_t bytes)
{
	return bytes / PAGE_SIZE_4K + !!(bytes % PAGE_SIZE_4K);
}

static void count_foreign(const struct reader *reader, struct reader_counts *counts)
{
	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *segment = &reader->core.segments[i];
		uint64_t size = reader->image.size;
		uint64_t there = segment->off < size ? u64_min(segment->file_bytes, size - segment->off)
						     : 0;
		uint64_t missing = pages_of(segment->file_bytes - there);

		counts->total += pages_of(segment->size);
		counts->missing += missing;
		counts->dumped += pages_of(segment->size) - u64_min(missing, pages_of(segment->size));
	}
}

static int count_ours(struct reader *reader, struct reader_counts *counts)
{
	uint64_t page = 0, unselected;
	struct block block;
	int r = 0;

	while (!r && page < reader->trailer.ram / PAGE_SIZE_4K) {
		r = count_unselected(reader, page, &unselected);
		if (r)
			return r;
		if (unselected) {
			counts->total += unselected;
			counts->excluded += unselected;
			page += unselected;
			continue;
		}
		r = load_block(reader, page, &block);
		if (!r)
			r = count_block(reader, &block, counts);
		page = block.end;
	}
	return r;
}

int reader_count(struct reader *reader, struct reader_counts *ret)
{
	struct reader_counts counts = {0};
	int r = 0;

	if (reader->has_trailer)
		r = count_ours(reader, &counts);
	else
		count_foreign(reader, &counts);
	if (!r)
		*ret = counts;
	return r;
}

/* Pages [@first, @end) of RAM. */
static int count_excluded_ram(struct reader *reader, uint64_t first, uint64_t end, uint64_t *count)
{
	struct block block;
	int r = 0;

	while (!r && first < end) {
		uint64_t unselected = 0, start = u64_align_down(first, READER_BLOCK_PAGES), stop;

		r = count_unselected(reader, start, &unselected);
		stop = u64_min(end, start + unselected);
		if (!r && stop > first) {
			*count += stop - first;
			first = stop;
			continue;
		}
		if (!r)
			r = load_block(reader, start, &block);
		if (r)
			return r;
		stop = u64_min(end, block.end);
		*count += stop - first - count_selected(&block, first, stop);
		first = stop;
	}
	return r;
}

int reader_count_excluded(struct reader *reader, uint64_t gpa, uint64_t len, uint64_t *ret)
{
	uint64_t end = gpa + len, count = 0;
	int r = 0;

	while (!r && gpa < end && reader_has_bitmap(reader)) {
		const struct core_segment *segment = elfcore_find(&reader->core, gpa);
		uint64_t stop, off;

		if (!segment)
			break;
		stop = u64_min(end, segment->gpa + segment->size);
		off = segment->off + (gpa - segment->gpa);
		if (reader_is_ram(reader, off) && reader_is_ram(reader, off + (stop - gpa) - 1))
			r = count_excluded_ram(reader, (off - reader->trailer.head) / PAGE_SIZE_4K,
				pages_of(off - reader->trailer.head + (stop - gpa)), &count);
		gpa = stop;
	}
	if (!r)
		*ret = count;
	return r;
}
