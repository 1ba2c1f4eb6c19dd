/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/strategy_vmapp.c - the dumper copies: workers take chunks from a counter, write each chunk's
 * selected pages at their own offsets, then release it whole.
 *
 * A chunk is written by pwrite() from the mapped region: the kernel copies straight into fresh pages
 * of the dump without zeroing them first, and the pages that the release of the last chunk freed are
 * the next ones to be handed out, still warm in the cache (docs/performance.md).
 */
#include "dump/bitmap.h"
#include "dump/engine.h"

#include "dump/base/io.h"

#include <errno.h>
#include <stdlib.h>

struct vmapp {
	struct dump_engine *engine;
	_Atomic uint64_t next; /* first chunk that no worker has taken */
	_Atomic int error; /* first worker's -errno; stops the others */
};

/* Writes the selected pages of [@start, @end), which has memory behind it. */
static int copy_selected(struct dump_engine *engine, uint64_t start, uint64_t end)
{
	uint64_t page = start / PAGE_SIZE_4K;
	uint64_t last = end / PAGE_SIZE_4K;

	for (;;) {
		uint64_t first = bitmap_next(engine->tail.selected, page, last, true);
		uint64_t off = first * PAGE_SIZE_4K;
		uint64_t len;
		int r;

		if (first == last)
			return 0;
		page = bitmap_next(engine->tail.selected, first, last, false);
		len = (page - first) * PAGE_SIZE_4K;
		r = io_pwrite_full(engine->dump_fd, engine->ram + off, len, engine->layout.head + off);
		if (r)
			return dump_engine_fail(engine, r, "cannot write %llu KiB at offset %#llx of %s",
				(unsigned long long)(len >> 10),
				(unsigned long long)(engine->layout.head + off),
				engine->names.dump_partial);
		atomic_fetch_add(&engine->dumped, len);
	}
}

static int dump_chunk(struct dump_engine *engine, uint64_t index)
{
	uint64_t off, len, start, end;
	uint64_t populated = 0;
	int r;

	dump_engine_chunk(engine, index, &off, &len);
	for (uint64_t at = off; (r = dump_engine_extent(engine, at, off + len, &start, &end)) == 1;
		at = end) {
		populated += end - start;
		r = copy_selected(engine, start, end);
		if (r)
			return r;
	}
	if (r < 0)
		return dump_engine_fail(engine, r, "cannot find the used parts of the crashed VM's memory");
	dump_engine_chunk_done(engine, index, populated);
	return 0;
}

static void *work(void *arg)
{
	struct vmapp *job = arg;

	while (!atomic_load_explicit(&job->error, memory_order_relaxed)) {
		uint64_t index = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
		int none = 0;
		int r;

		if (index >= job->engine->nr_chunks)
			break;
		r = dump_chunk(job->engine, index);
		if (r)
			atomic_compare_exchange_strong(&job->error, &none, r);
	}
	return NULL;
}

/* The calling thread is the first worker, so that a host without room for threads still dumps. */
int strategy_vmapp(struct dump_engine *engine)
{
	struct vmapp job = {.engine = engine};
	uint64_t workers = u64_min(engine->workers, engine->nr_chunks);
	pthread_t *threads = calloc(workers, sizeof(*threads));
	uint64_t started = 0;

	if (threads)
		while (started < workers - 1 && !pthread_create(&threads[started], NULL, work, &job))
			started++;
	work(&job);
	for (uint64_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return atomic_load(&job.error);
}
