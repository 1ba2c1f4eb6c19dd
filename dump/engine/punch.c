/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/punch.c - see punch.h */
#include "dump/engine/punch.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/engine/release.h"

/* our choice: what is counted as released at once; asking costs a microsecond */
#define COUNT_SLICE MIB(32)

void punch_init(struct punch *punch, struct dump_engine *engine)
{
	*punch = (struct punch){.engine = engine, .before = dead_region_host_bytes(&engine->region)};
}

void punch_count(struct punch *punch)
{
	uint64_t after = dead_region_host_bytes(&punch->engine->region);

	if (after < punch->before)
		dump_engine_released(punch->engine, punch->before - after);
	punch->before = after;
}

int punch_flush(struct punch *punch)
{
	int r = 0;

	if (punch->end > punch->start)
		r = dead_region_release(&punch->engine->region, punch->start, punch->end - punch->start);
	if (r)
		return r;
	punch->start = punch->end = 0;
	punch_count(punch);
	return 0;
}

/* Joins [@start, @end) to the run that waits, or punches that one first. */
static int add_run(struct punch *punch, uint64_t start, uint64_t end)
{
	int r = 0;

	if (punch->end == start && end - punch->start <= COUNT_SLICE) {
		punch->end = end;
		return 0;
	}
	if (punch->end > punch->start)
		r = dead_region_release(&punch->engine->region, punch->start, punch->end - punch->start);
	punch->start = start;
	punch->end = end;
	return r;
}

int punch_unwanted(struct punch *punch, uint64_t start, uint64_t end)
{
	uint64_t page = start / PAGE_SIZE_4K, last = end / PAGE_SIZE_4K;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(punch->engine->selection.copy, page, last, false);

		if (first == last)
			break;
		page = bitmap_next(punch->engine->selection.copy, first, last, true);
		r = add_run(punch, first * PAGE_SIZE_4K, page * PAGE_SIZE_4K);
	}
	return r;
}
