/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/strategy_hybrid.c - the region becomes the dump, as with remap, but where little of a chunk is wanted
 * its few pages step aside, the chunk is given back whole, and they come back in pages of 4 KiB:
 *
 *      a  wanted pages copied to the dump file besides (engine->dump_fd), at their own offset
 *      b  progress byte = 1: the chunk's pages are there
 *      c  chunk punched out of the region, whole
 *      d  pages copied back to where they were
 *      e  progress byte = 0: the chunk's pages are in the region
 *      f  chunk punched out of the dump file
 *
 * So at every moment the two files together are a partial dump like any other (docs/vmcore.md, "Names, and
 * partial dumps").  It pays with huge pages, which a punch of a part splits, at a price for each run.
 */
#include "dump/base/bitmap.h"
#include "dump/engine/engine_state.h"
#include "dump/engine/tables.h"
#include "dump/engine/punch.h"
#include "dump/engine/release.h"

#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Measured (docs/vmcore.md, "Remap and hybrid"), ns for 2 MiB and for each run or page: punching splits a
 * huge page, moving frees it whole but touches four pages for each that is wanted.
 */
#define PUNCH_CHUNK_NS 170000
#define PUNCH_RUN_NS 1800
#define MOVE_CHUNK_NS 20000
#define MOVE_PAGE_NS 6500

struct hybrid {
	struct dump_engine *engine;
	struct punch punch;
	unsigned char *region; /* the region's RAM, mapped for stores, in 4 KiB pages; NULL = never move */
	unsigned char *aside;  /* the same of the dump file */
};

/* Pages of a file mapped so that each store takes 4 KiB; NULL if that cannot be had. */
static unsigned char *map_small(const struct dump_engine *engine, int fd)
{
	void *at = mmap(NULL, engine->layout.ram, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		(off_t)engine->layout.head);

	if (at == MAP_FAILED)
		return NULL;
	(void)madvise(at, engine->layout.ram, MADV_NOHUGEPAGE);
	return at;
}

/* Without huge pages, punching costs least in every case. */
static bool has_huge_pages(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (uint64_t)st.st_blksize >= PAGE_SIZE_2M;
}

/* True if moving the wanted pages of [@first, @end) is cheaper than punching the others. */
static bool is_worth_moving(const struct hybrid *hybrid, uint64_t first, uint64_t end)
{
	const uint64_t *copy = hybrid->engine->selection.copy;
	uint64_t pages = bitmap_count_range(copy, first, end), runs = 0;

	if (!hybrid->region || !hybrid->aside || !pages)
		return false;
	for (uint64_t page = first; page < end; runs++) {
		page = bitmap_next(copy, page, end, false);
		if (page == end)
			break;
		page = bitmap_next(copy, page, end, true);
	}
	return runs && pages * MOVE_PAGE_NS + MOVE_CHUNK_NS < runs * PUNCH_RUN_NS + PUNCH_CHUNK_NS;
}

/*
 * Copies the wanted pages of [@start, @end), which has memory behind it in @from, to the mapping @to.
 * A store that finds no memory is -EFAULT in a system call, where it would be SIGBUS in memcpy().
 */
static int copy_run(const struct hybrid *hybrid, int from, unsigned char *to, uint64_t start, uint64_t end)
{
	const struct dump_engine *engine = hybrid->engine;
	uint64_t page = start / PAGE_SIZE_4K, last = end / PAGE_SIZE_4K;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(engine->selection.copy, page, last, true);
		uint64_t off = first * PAGE_SIZE_4K;

		if (first == last)
			break;
		page = bitmap_next(engine->selection.copy, first, last, false);
		r = io_pread_full(from, to + off, (page - first) * PAGE_SIZE_4K, engine->layout.head + off);
	}
	return r == -EFAULT ? -ENOSPC : r;
}

/* Step a. */
static int copy_aside(struct hybrid *hybrid, uint64_t off, uint64_t len)
{
	struct dump_engine *engine = hybrid->engine;
	uint64_t start, end;
	int r;

	for (uint64_t at = off; (r = dead_region_extent(&engine->region, at, off + len, &start, &end)) == 1;
		at = end) {
		r = copy_run(hybrid, engine->region_fd, hybrid->aside, start, end);
		if (r)
			break;
	}
	return r;
}

/* Steps d to f.  What lies aside is found by its data: a page without is a hole in the region too. */
static int copy_back(struct hybrid *hybrid, uint64_t index)
{
	struct dump_engine *engine = hybrid->engine;
	uint64_t off, len, head = engine->layout.head;
	off_t start, end;
	int r = 0;

	dump_engine_chunk(engine, index, &off, &len);
	for (uint64_t at = off; at < off + len && !r; at = (uint64_t)end - head) {
		start = lseek(engine->dump_fd, (off_t)(head + at), SEEK_DATA);
		if (start < 0 && errno != ENXIO)
			return -errno;
		if (start < 0 || (uint64_t)start - head >= off + len)
			break;
		end = io_test_fails(IO_SEEK, NULL) ? -1 : lseek(engine->dump_fd, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = copy_run(hybrid, engine->dump_fd, hybrid->region, (uint64_t)start - head,
			u64_min((uint64_t)end - head, off + len));
	}
	if (!r)
		r = dump_tail_mark(&engine->tail, index, VMCORE_CHUNK_PENDING);
	if (!r)
		r = io_fallocate(
			engine->dump_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, head + off, len);
	return r;
}

static int move_chunk(struct hybrid *hybrid, uint64_t index)
{
	struct dump_engine *engine = hybrid->engine;
	uint64_t off, len;
	int r;

	dump_engine_chunk(engine, index, &off, &len);
	r = copy_aside(hybrid, off, len);
	if (!r)
		r = dump_tail_mark(&engine->tail, index, VMCORE_CHUNK_DONE);
	if (!r)
		r = dead_region_release(&engine->region, off, len);
	return r ? r : copy_back(hybrid, index);
}

static int do_chunk(struct hybrid *hybrid, uint64_t index)
{
	struct dump_engine *engine = hybrid->engine;
	uint64_t off, len;
	int r;

	dump_engine_chunk(engine, index, &off, &len);
	if (dump_engine_is_done(engine, index)) {
		/* between b and e when the earlier dumper died */
		r = hybrid->region ? dead_region_release(&engine->region, off, len) : -ENOMEM;
		return r ? r : copy_back(hybrid, index);
	}
	r = engine_select_chunk(engine, index);
	if (r)
		return r;
	if (is_worth_moving(hybrid, off / PAGE_SIZE_4K, (off + len) / PAGE_SIZE_4K))
		return move_chunk(hybrid, index);
	return punch_unwanted(&hybrid->punch, off, off + len);
}

int strategy_hybrid(struct dump_engine *engine)
{
	struct hybrid hybrid = {.engine = engine};
	int r = 0;

	if (has_huge_pages(engine->region_fd) || plan_adopts(engine->plan)) {
		hybrid.region = map_small(engine, engine->region_fd);
		hybrid.aside = map_small(engine, engine->dump_fd);
	}
	punch_init(&hybrid.punch, engine);
	for (uint64_t i = 0; i < engine->nr_chunks && !r; i++) {
		r = do_chunk(&hybrid, i);
		punch_count(&hybrid.punch);
		if (!r)
			dump_engine_chunk_kept(engine, i);
	}
	if (!r)
		r = punch_flush(&hybrid.punch);
	if (hybrid.region)
		munmap(hybrid.region, engine->layout.ram);
	if (hybrid.aside)
		munmap(hybrid.aside, engine->layout.ram);
	atomic_store(&engine->dumped, dead_region_host_bytes(&engine->region));
	return r ? dump_engine_fail(engine, r, "cannot take pages out of %s", engine->names.region_partial)
		 : 0;
}
