/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/sink.h - where a strategy that moves bytes puts them, and in which encoding.
 *
 *      open                                  head written, tables ready, before the first chunk
 *      worker_open
 *        chunk                               any worker, any order; then dump_engine_chunk_done()
 *      worker_close
 *      finish                                all chunks are handed in, all workers are gone
 *      write                                 head and, after finish, tail
 *      close
 *
 * A sink is one file and one line in dump/record/choices.c and in dump/engine/tables.c.  It knows nothing of names, sockets and selectors.
 */
#ifndef DUMP_ENGINE_SINK_H
#define DUMP_ENGINE_SINK_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dump_engine;

/* Pages of a chunk that are to be dumped and have memory behind them; the rest of it is zeros. */
struct dump_run {
	uint64_t off; /* RAM offset, bytes */
	uint64_t len; /* bytes */
};

/* What one of dump_sinks[] does. */
struct sink_ops {
	/* For at most @workers workers.  0 and *ret_sink, or -errno. */
	int (*open)(struct dump_engine *engine, uint64_t workers, void **ret_sink);
	/* What one thread needs; NULL = nothing.  0 and *ret_worker, or -errno. */
	int (*worker_open)(void *sink, void **ret_worker);
	void (*worker_close)(void *worker);
	/*
	 * The whole of chunk @index: runs ascend and do not touch.  Takes care that dump_engine_chunk_done()
	 * is called with @populated once every byte is in the file, now or later.
	 * Result: 0, or -errno, recorded with dump_engine_fail().
	 */
	int (*chunk)(void *sink, void *worker, uint64_t index, const struct dump_run *runs, size_t nr_runs,
		uint64_t populated);
	/*
	 * Chunk @index, which is done in the file engine->old_fd of an earlier engine.  As chunk().
	 * NULL = files can be gone on with, so that nothing is carried.
	 */
	int (*carry)(void *sink, void *worker, uint64_t index);
	/* NULL = nothing to do.  0 or -errno. */
	int (*finish)(void *sink);
	/* @len bytes at @off of the ELF image, in the head or tail room.  0 or -errno. */
	int (*write)(void *sink, uint64_t off, const void *data, size_t len);
	void (*close)(void *sink);
};

extern const struct sink_ops sink_elf;
extern const struct sink_ops sink_lz4;

#endif /* DUMP_ENGINE_SINK_H */
