/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_space.c - which directory has room for the dump, asked before its first byte is written.
 */
#include "dump/engine/engine_space.h"

#include "dump/base/io.h"
#include "dump/engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Head and tail rooms of region and dump: a huge page each, two where the tables cross into the next */
#define ROOMS_BYTES MIB(12)

/* Bytes of head and tables. */
static uint64_t overhead(const struct dump_layout *layout, uint64_t chunk, size_t notes, size_t nr_more)
{
	struct vmcore_places places = vmcore_places(layout, chunk);

	return u64_align_up(VMCORE_HEADERS_MAX + nr_more * sizeof(Elf64_Phdr), PAGE_SIZE_4K) +
	       u64_align_up(notes, PAGE_SIZE_4K) + PAGE_SIZE_4K +
	       u64_align_up(places.bitmap_bytes, PAGE_SIZE_4K) +
	       u64_align_up(places.progress_bytes, PAGE_SIZE_4K) + PAGE_SIZE_4K;
}

/* Bytes of chunks that are in the dump already and in the region still. */
static uint64_t chunks_in_flight(const struct dump_options *options, uint64_t ram)
{
	const struct dump_strategy *strategy = &dump_strategies[options->strategy];
	/* a compressed block waits for those before it (dump/lz4/lz4_writer.h) */
	uint64_t each = strategy->sinks && dump_sinks[options->sink].compressed ? 4 : 1;

	return u64_min(engine_workers(options) * each * options->chunk, ram);
}

uint64_t dump_engine_in_flight(const struct dump_options *options, uint64_t ram)
{
	return chunks_in_flight(options, ram) + ROOMS_BYTES;
}

/*
 * Bytes that a dump in @dir_fd needs at most.  On the region's file system releasing gives back what
 * copying takes, but for the chunks in flight; elsewhere it is all the memory that the guest touched.
 */
static uint64_t space_of_memory(const struct dump_options *options, uint64_t ram, int region_fd, int dir_fd)
{
	struct stat region, dir;

	if (fstat(region_fd, &region) || fstat(dir_fd, &dir) || region.st_dev == dir.st_dev)
		return chunks_in_flight(options, ram);
	return u64_min(io_stat_bytes(&region), ram);
}

uint64_t dump_engine_space(const struct dump_record *record, int region_fd, int dir_fd)
{
	const struct dump_options *options = &record->options;
	struct vmcore_notes notes = {0};
	uint64_t space;

	if (dump_strategies[options->strategy].in_place)
		return 0;
	if (vmcore_notes_create(record, &notes))
		notes.bytes = 0;
	space = space_of_memory(options, record->layout.ram, region_fd, dir_fd) +
		overhead(&record->layout, options->chunk, notes.bytes, 0);
	free(notes.buf);
	return space;
}

static uint64_t space_needed(const struct dump_engine *engine, int dir_fd)
{
	return space_of_memory(&engine->record->options, engine->layout.ram, engine->region_fd, dir_fd) +
	       overhead(&engine->layout, engine->chunk, engine->head.notes.bytes, engine->head.nr_more);
}

/* What a directory lacks; 0 = there is room. */
struct shortage {
	uint64_t have, need;
};

static int check_dir(const struct dump_engine *engine, int dir_fd, struct shortage *ret)
{
	struct statfs fs;

	*ret = (struct shortage){.need = space_needed(engine, dir_fd)};
	if (fstatfs(dir_fd, &fs) < 0)
		return -errno;
	ret->have = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	if (!fs.f_blocks || ret->have >= ret->need) /* no blocks: a tmpfs without a limit */
		return 0;
	return -ENOSPC;
}

static unsigned long long mib_up(uint64_t bytes)
{
	return (bytes + MIB(1) - 1) >> 20;
}

static unsigned long long mib_down(uint64_t bytes)
{
	return bytes >> 20;
}

int engine_choose_dir(struct dump_engine *engine)
{
	struct shortage first, second;
	int r;

	engine->out_dir_fd = engine->dir_fd;
	if (engine->given_dump_fd >= 0 || engine->strategy->in_place || !plan_moves(engine->plan))
		return 0; /* it has its place already */
	r = check_dir(engine, engine->dir_fd, &first);
	if (!r)
		return 0;
	if (r != -ENOSPC)
		return dump_engine_fail(engine, r, "cannot ask for the free space of the dump directory");
	if (engine->fallback_dir_fd < 0)
		return dump_engine_fail(engine, -ENOSPC,
			"the dump directory has %llu MiB free, the dump needs %llu MiB (%llu MiB are "
			"missing)",
			mib_down(first.have), mib_up(first.need), mib_up(first.need - first.have));
	r = check_dir(engine, engine->fallback_dir_fd, &second);
	if (r)
		return dump_engine_fail(engine, r,
			"the dump directory lacks %llu MiB of %llu, and the fallback directory %llu MiB of "
			"%llu",
			mib_up(first.need - first.have), mib_up(first.need),
			mib_up(second.need - u64_min(second.have, second.need)), mib_up(second.need));
	engine->out_dir_fd = engine->fallback_dir_fd;
	snprintf(engine->detour, sizeof(engine->detour),
		"the dump directory has %llu MiB free, the dump needs %llu MiB", mib_down(first.have),
		mib_up(first.need));
	return 0;
}
