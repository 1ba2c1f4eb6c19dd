/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/read/reader_gap.c - where a dump has nothing, for who would otherwise look at an address space instead of a
 * file: see reader.h.
 */
#include "dump/read/reader_chunk.h"

#include <errno.h>

/* Bytes of @image at @off that are hole; 0 if there is data, or nobody can tell. */
static uint64_t hole_at(struct image *image, uint64_t off)
{
	uint64_t start, end;
	int r = image_data(image, off, &start, &end);

	if (r < 0)
		return 0;
	return r ? start - u64_min(start, off) : UINT64_MAX;
}

/* The images that RAM of a partial dump may come from; NULL = none there. */
static uint64_t gap_of_partial(struct reader *reader, uint64_t off)
{
	struct image *done = reader_done_image(reader), *pending = reader_pending_image(reader);
	uint64_t gap = UINT64_MAX;

	if (done)
		gap = hole_at(done, off);
	if (pending && gap)
		gap = u64_min(gap, hole_at(pending, off));
	return gap;
}

uint64_t reader_gap(struct reader *reader, uint64_t gpa)
{
	const struct core_segment *segment = elfcore_find(&reader->core, gpa);
	uint64_t at, off, gap;

	if (!segment)
		return 0;
	at = gpa - segment->gpa;
	if (at >= segment->file_bytes)
		return segment->size - at; /* the headers say that it is zeros */
	off = segment->off + at;
	gap = reader->kind == READER_PARTIAL && reader_is_ram(reader, off) ? gap_of_partial(reader, off)
									   : hole_at(&reader->image, off);
	return u64_min(gap, segment->file_bytes - at);
}

static uint64_t data_bytes(struct image *image)
{
	uint64_t start, end, at = 0, sum = 0;

	while (image_data(image, at, &start, &end) == 1 && end > at) {
		sum += end - u64_max(start, at);
		at = end;
	}
	return sum;
}

uint64_t reader_data_bytes(struct reader *reader)
{
	uint64_t sum = data_bytes(&reader->image);

	if (reader->region.fd >= 0)
		sum += data_bytes(&reader->region);
	if (reader->packed.fd >= 0)
		sum += data_bytes(&reader->packed);
	return sum;
}
