/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/reader_check.c - what of a dump is damaged: see reader_check() in reader.h */
#include "dump/read/reader_chunk.h"

#include <errno.h>

struct check {
	struct image *image; /* the one with checksums */
	reader_damage_fn *fn;
	void *arg;
	uint64_t pages;
};

static void tell(struct check *check, uint64_t gpa, uint64_t bytes)
{
	check->pages += (bytes + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	if (check->fn && bytes)
		check->fn(check->arg, gpa, bytes);
}

/* One segment; neighbours that are damaged are one run. */
static int check_segment(struct check *check, const struct core_segment *segment)
{
	uint64_t size = check->image->size;
	uint64_t at = segment->off, end = segment->off + segment->file_bytes;
	uint64_t bad = 0; /* bytes before @at that are damaged */
	int r = 0;

	for (end = u64_min(end, size); at < end;) {
		uint64_t next = end;

		r = check->image->format->check(check->image, at, &next);
		if (r && r != -EBADMSG)
			return r;
		next = u64_min(next, end);
		if (!r && bad)
			tell(check, segment->gpa + (at - bad - segment->off), bad);
		bad = r ? bad + (next - at) : 0;
		at = next;
	}
	if (bad)
		tell(check, segment->gpa + (at - bad - segment->off), bad);
	return 0;
}

int reader_check(struct reader *reader, reader_damage_fn *fn, void *arg, uint64_t *ret_pages)
{
	struct check check = {.image = &reader->image, .fn = fn, .arg = arg};
	int r = 0;

	if (reader->compressed)
		check.image = reader_done_image(reader);
	if (check.image && check.image->format->check)
		for (size_t i = 0; i < reader->core.nr_segments && !r; i++)
			r = check_segment(&check, &reader->core.segments[i]);
	*ret_pages = check.pages;
	return r;
}
