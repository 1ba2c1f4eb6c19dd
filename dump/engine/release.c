/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/release.c - see release.h */
#include "dump/engine/release.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/base/bitmap.h"
#include "dump/engine/engine_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * our choice: bytes of one punch.  With 4 KiB pages some milliseconds, so that the first memory comes
 * back soon and whoever waits for it hears of it; with huge pages nothing is lost by it.
 */
#define SLICE MIB(32)

/*
 * What runs are cut to.  Measured (docs/vmcore.md, "Selection"): a part of a huge page is not worth splitting
 * it, it goes with the chunk soon after; with 4 KiB pages each run, however short, is given back sooner this way at
 * no cost in all.  tmpfs tells the size of its pages as st_blksize.
 */
static uint64_t granule_of(const struct dump_engine *engine)
{
	struct stat st;

	if (fstat(engine->region_fd, &st) < 0 || (uint64_t)st.st_blksize < PAGE_SIZE_2M)
		return PAGE_SIZE_4K;
	return PAGE_SIZE_2M;
}

static int release_run(struct dump_engine *engine, uint64_t off, uint64_t end)
{
	uint64_t before = io_bytes_behind(engine->region_fd);

	for (uint64_t len; off < end; off += len) {
		uint64_t after;
		int r;

		len = u64_min(end - off, SLICE - off % SLICE);
		r = dead_region_release(&engine->region, off, len);
		if (r)
			return r;
		after = io_bytes_behind(engine->region_fd);
		dump_engine_released(engine, before > after ? before - after : 0);
		before = after;
	}
	return 0;
}

void dump_release_excluded(struct dump_engine *engine)
{
	uint64_t granule = granule_of(engine), pages = engine->layout.ram / PAGE_SIZE_4K;
	uint64_t page = 0;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(engine->tail.selected, page, pages, false);
		uint64_t off = u64_align_up(first * PAGE_SIZE_4K, granule), end;

		if (first == pages)
			break;
		page = bitmap_next(engine->tail.selected, first, pages, true);
		end = page * PAGE_SIZE_4K;
		if (page < pages) /* the last huge page of RAM may be a short one */
			end = u64_align_down(end, granule);
		if (end > off)
			r = release_run(engine, off, end);
	}
	if (r)
		log_debug("cannot release excluded memory early: %s", strerror(-r));
	dead_region_forget_extents(&engine->region);
}
