/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/strategy_guest.c - the guest has dumped by itself: what it wrote is in the dump file already, at
 * its place.  What is left is to note which pages that are, and to release the region.
 *
 * A page that the guest wrote has memory behind it in the dump file, a page it did not write is a hole
 * there: excluded, by the guest's decision.
 */
#include "dump/base/bitmap.h"
#include "dump/engine/engine_state.h"
#include "dump/engine/tables.h"

#include <errno.h>
#include <unistd.h>

/* Next run of data in the dump file, in RAM offsets.  1, 0 when there is none, or -errno. */
static int next_written(
	const struct dump_engine *engine, uint64_t from, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t head = engine->layout.head, ram = engine->layout.ram;
	off_t start, end;

	start = lseek(engine->dump_fd, (off_t)(head + from), SEEK_DATA);
	if (start < 0)
		return errno == ENXIO ? 0 : -errno;
	if ((uint64_t)start >= head + ram)
		return 0;
	end = lseek(engine->dump_fd, start, SEEK_HOLE);
	if (end < 0)
		return -errno;
	*ret_start = (uint64_t)start - head;
	*ret_end = u64_min((uint64_t)end - head, ram);
	return 1;
}

static int note_written(struct dump_engine *engine)
{
	uint64_t at = 0, start = 0, end = 0;
	int r = 0;

	while (at < engine->layout.ram && (r = next_written(engine, at, &start, &end)) == 1) {
		bitmap_clear_range(engine->tail.selected, at / PAGE_SIZE_4K, start / PAGE_SIZE_4K);
		atomic_fetch_add(&engine->dumped, end - start);
		at = end;
	}
	if (r < 0)
		return dump_engine_fail(
			engine, r, "cannot find what the guest wrote to %s", engine->names.dump_partial);
	bitmap_clear_range(engine->tail.selected, at / PAGE_SIZE_4K, engine->layout.ram / PAGE_SIZE_4K);
	return 0;
}

int strategy_guest(struct dump_engine *engine)
{
	uint64_t off, len, start = 0, end = 0;
	int r;

	if (engine->given_dump_fd < 0)
		return dump_engine_fail(engine, -EINVAL, "the guest has written no dump");
	r = note_written(engine);
	for (uint64_t i = 0; i < engine->nr_chunks && !r; i++) {
		uint64_t populated = 0;

		dump_engine_chunk(engine, i, &off, &len);
		for (uint64_t at = off;
			(r = dead_region_extent(&engine->region, at, off + len, &start, &end)) == 1;
			at = end)
			populated += end - start;
		if (!r)
			r = dump_engine_chunk_done(engine, i, populated);
	}
	return r;
}
