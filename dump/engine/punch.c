/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/punch.c - see punch.h */
#include "dump/engine/punch.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/engine/release.h"

/* our choice: what is counted as released at once; asking costs a microsecond */
#define COUNT_SLICE MIB(32)

uint64_t punch_host_bytes(const struct dump_engine *engine)
{
	return u64_min(io_bytes_behind(engine->region_fd), engine->layout.ram);
}

void punch_init(struct punch *punch, struct dump_engine *engine)
{
	*punch = (struct punch){.engine = engine, .before = punch_host_bytes(engine)};
}

void punch_count(struct punch *punch)
{
	uint64_t after = punch_host_bytes(punch->engine);

	if (after < punch->before)
		dump_engine_released(punch->engine, punch->before - after);
	punch->before = after;
}

int punch_flush(struct punch *punch)
{
	int r = 0;

	if (punch->end > punch->start)
		r = dump_release(punch->engine, punch->start, punch->end - punch->start);
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
		r = dump_release(punch->engine, punch->start, punch->end - punch->start);
	punch->start = start;
	punch->end = end;
	return r;
}

int punch_unwanted(struct punch *punch, uint64_t start, uint64_t end)
{
	uint64_t page = start / PAGE_SIZE_4K, last = end / PAGE_SIZE_4K;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(punch->engine->copy, page, last, false);

		if (first == last)
			break;
		page = bitmap_next(punch->engine->copy, first, last, true);
		r = add_run(punch, first * PAGE_SIZE_4K, page * PAGE_SIZE_4K);
	}
	return r;
}
