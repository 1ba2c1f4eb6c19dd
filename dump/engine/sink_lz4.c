/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/sink_lz4.c - a standard LZ4 file of the vmcore (dump/lz4/lz4_writer.h), compressed by the workers.
 *
 * A chunk is done when its block is in the file and in the writer's table, which may be some chunks later
 * than it was handed in.  The table lies in the region's tail room, behind the progress table: a kill
 * leaves the region's pages, the blocks, and what tells them apart.
 *
 * Again: nobody goes on in the middle of a frame.  After a kill all of it is written to a new file, what was
 * done being read from the old one (engine->old_fd).  Old file, region and table stay as they are until the
 * new file has its name, so that nothing is marked and nothing released meanwhile.
 */
#include "dump/engine/sink.h"

#include "dump/engine/engine_state.h"
#include "dump/base/cleanup.h"
#include "dump/base/filemap.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/lz4/lz4_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* measured (docs/vmcore.md, "Compressed dumps"): enough for workers of different speed */
#define SPARES_PER_WORKER 2

struct sink_lz4 {
	struct dump_engine *engine;
	struct lz4_writer *writer;
	bool again;
	void *table; /* again: owned; else it is the region's */
};

struct sink_lz4_worker {
	struct lz4_worker *lz4;
	struct lz4_run *runs;   /* room for those of a chunk */
	struct lz4_reader *old; /* again: the file that is read, else NULL */
};

/* @tag: bytes behind the chunk; again: its contents, owned, or 0. */
static void on_written(void *arg, uint64_t chunk, uint64_t count, uint64_t tag)
{
	struct sink_lz4 *sink = arg;

	if (sink->again) {
		free((void *)(uintptr_t)tag);
		for (uint64_t i = 0; i < count; i++)
			dump_engine_chunk_kept(sink->engine, chunk + i);
		return;
	}
	for (uint64_t i = 0; i < count; i++)
		if (dump_engine_chunk_done(sink->engine, chunk + i, tag))
			return; /* which is recorded */
}

/* Memory for the writer's table, in the region's file. */
static int reserve_table(struct dump_engine *engine, const struct lz4_image *image, void **ret_table)
{
	struct dump_tail *tail = &engine->tail;
	uint64_t off = vmcore_blocks_off(&tail->trailer->places);
	uint64_t bytes = lz4_table_bytes(image);
	unsigned char *at = (unsigned char *)tail->map + (off - tail->start);
	int r;

	if (off + bytes > tail->trailer->places.trailer_off)
		return -EFBIG;
	r = filemap_reserve(at, bytes, engine->region_fd, off);
	if (!r)
		*ret_table = at;
	return r;
}

static int write_head(struct lz4_writer *writer, struct dump_engine *engine)
{
	autofree unsigned char *image = NULL;
	size_t bytes;
	int r = dump_head_image(&engine->head, &image, &bytes, &engine->timeline_off);

	return r ? r : lz4_writer_patch(writer, 0, image, bytes);
}

static int lz4_open(struct dump_engine *engine, uint64_t workers, void **ret_sink)
{
	const struct dump_layout *layout = &engine->layout;
	struct sink_lz4 *sink = calloc(1, sizeof(*sink));
	struct lz4_writer_options options = {
		.image = {layout->head, layout->ram, layout->tail, engine->chunk},
		.acceleration = (int)u64_max(engine->record->options.level, LZ4_ACCELERATION_LEAST),
		.spares = (uint32_t)(workers * SPARES_PER_WORKER),
		.written = on_written,
		.written_arg = sink,
	};
	int r = sink ? lz4_image_check(&options.image) : -ENOMEM;

	if (!r)
		sink->again = engine->old_fd >= 0;
	if (!r && sink->again) {
		options.table = sink->table = calloc(1, lz4_table_bytes(&options.image));
		r = sink->table ? 0 : -ENOMEM;
	} else if (!r) {
		r = reserve_table(engine, &options.image, &options.table);
	}
	if (!r)
		r = lz4_writer_create(engine->dump_fd, &options, &sink->writer);
	if (!r)
		r = write_head(sink->writer, engine);
	if (r) {
		if (sink) {
			lz4_writer_destroy(sink->writer);
			free(sink->table);
		}
		free(sink);
		return r;
	}
	sink->engine = engine;
	*ret_sink = sink;
	return 0;
}

static void lz4_close(void *opaque)
{
	struct sink_lz4 *sink = opaque;

	lz4_writer_destroy(sink->writer);
	free(sink->table);
	free(sink);
}

static void lz4_worker_close(void *opaque)
{
	struct sink_lz4_worker *worker = opaque;

	lz4_worker_destroy(worker->lz4);
	lz4_reader_close(worker->old);
	free(worker->runs);
	free(worker);
}

static int lz4_worker_open(void *opaque, void **ret_worker)
{
	struct sink_lz4 *sink = opaque;
	struct sink_lz4_worker *worker = calloc(1, sizeof(*worker));
	int r = -ENOMEM;

	if (!worker)
		return -ENOMEM;
	worker->runs = calloc(sink->engine->chunk / PAGE_SIZE_4K / 2 + 1, sizeof(*worker->runs));
	if (worker->runs)
		r = lz4_worker_create(sink->writer, &worker->lz4);
	if (!r && sink->again)
		r = lz4_reader_open_partial(sink->engine->old_fd, sink->engine->region_fd,
			vmcore_blocks_off(&sink->engine->tail.trailer->places), &worker->old);
	if (r) {
		lz4_worker_close(worker);
		return r;
	}
	*ret_worker = worker;
	return 0;
}

static int lz4_chunk(void *opaque, void *opaque_worker, uint64_t index, const struct dump_run *runs,
	size_t nr_runs, uint64_t populated)
{
	struct sink_lz4 *sink = opaque;
	struct sink_lz4_worker *worker = opaque_worker;
	struct dump_engine *engine = sink->engine;
	uint64_t start, len;
	int r;

	dump_engine_chunk(engine, index, &start, &len);
	for (size_t i = 0; i < nr_runs; i++) {
		/* one call instead of a fault every few pages; it is only a wish */
		(void)madvise(engine->region.ram + runs[i].off, runs[i].len, MADV_POPULATE_READ);
		worker->runs[i] = (struct lz4_run){.off = (uint32_t)(runs[i].off - start),
			.len = (uint32_t)runs[i].len,
			.data = engine->region.ram + runs[i].off};
		atomic_fetch_add(&engine->dumped, runs[i].len);
	}
	if (nr_runs || populated)
		r = lz4_worker_put(worker->lz4, index, worker->runs, nr_runs, sink->again ? 0 : populated);
	else
		r = lz4_writer_zeros(sink->writer, index, 1);
	if (r)
		return dump_engine_fail(engine, r, "cannot write the block of chunk %llu to %s",
			(unsigned long long)index, engine->names.dump_partial);
	return dump_engine_error(engine); /* of a mark that on_written() could not make */
}

/* The chunk's contents as they are in the old file, to be freed when they are written. */
static int carry_block(struct sink_lz4_worker *worker, uint64_t index, uint64_t off, uint64_t len)
{
	struct lz4_run run = {.len = (uint32_t)len};
	unsigned char *contents = malloc(len);
	int r = contents ? lz4_reader_read(worker->old, off, contents, len) : -ENOMEM;

	if (!r) {
		run.data = contents;
		/* if that fails they may still be in use: one chunk is lost to a dump that fails */
		return lz4_worker_put(worker->lz4, index, &run, 1, (uintptr_t)contents);
	}
	free(contents);
	return r;
}

static int lz4_carry(void *opaque, void *opaque_worker, uint64_t index)
{
	struct sink_lz4 *sink = opaque;
	struct sink_lz4_worker *worker = opaque_worker;
	struct dump_engine *engine = sink->engine;
	struct lz4_block block;
	uint64_t start, len;
	int r;

	dump_engine_chunk(engine, index, &start, &len);
	start += engine->layout.head;
	r = lz4_reader_block(worker->old, start, &block);
	if (!r && block.kind == LZ4_KIND_ZERO) {
		r = lz4_writer_zeros(sink->writer, index, 1);
	} else if (!r) {
		atomic_fetch_add(&engine->dumped, len);
		r = carry_block(worker, index, start, len);
	}
	return r ? dump_engine_fail(engine, r, "cannot take over chunk %llu of %s",
			   (unsigned long long)index, engine->names.dump_partial)
		 : 0;
}

static int lz4_finish(void *opaque)
{
	struct sink_lz4 *sink = opaque;
	int r = lz4_writer_finish(sink->writer);

	return r ? dump_engine_fail(
			   sink->engine, r, "cannot write the end of %s", sink->engine->names.dump_partial)
		 : 0;
}

static int lz4_write(void *opaque, uint64_t off, const void *data, size_t len)
{
	struct sink_lz4 *sink = opaque;

	int r = lz4_writer_patch(sink->writer, off, data, len);

	return r ? r : lz4_writer_sum(sink->writer);
}

const struct sink_ops sink_lz4 = {
	.open = lz4_open,
	.worker_open = lz4_worker_open,
	.worker_close = lz4_worker_close,
	.chunk = lz4_chunk,
	.carry = lz4_carry,
	.finish = lz4_finish,
	.write = lz4_write,
	.close = lz4_close,
};
