/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/durable.h - chunks of a dump on a disk that are written, and whose memory waits until they are on the disk.
 *
 * The kernel tells of a write that failed on its way to the disk when somebody asks, long after the write has returned.  So
 * chunks are collected; when they make a step, the file is brought to the disk, and only then they are marked and
 * released.  The disk is busy meanwhile: each chunk is sent on its way at once.
 */
#ifndef DUMP_ENGINE_DURABLE_H
#define DUMP_ENGINE_DURABLE_H

#include "dump/base/num.h"
#include "dump/region/layout.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct dump_engine;

/*
 * our choice: bytes of guest memory that wait at most.  Half a second of a disk of 64 MB/s; a disk that takes 1 MB/s is slow
 * but not hung (dump.stall_timeout).
 */
#define DURABLE_STEP MIB(32)

struct durable_batch {
	size_t nr;
	uint64_t bytes; /* of RAM */
	struct {
		uint64_t index, populated;
	} chunks[DURABLE_STEP / DUMP_CHUNK_MIN];
};

struct durable {
	pthread_mutex_t lock; /* guards @waiting */
	pthread_mutex_t
		sync_lock; /* held by who asks the disk: one that fails is known before the next one asks */
	struct durable_batch waiting;
};

void durable_init(struct durable *durable);
void durable_fini(struct durable *durable);

/*
 * durable_add - chunk @index is written; its memory may go when it is on the disk, perhaps before the return.
 * Any thread.  Errors: -errno, recorded: nothing that waited is released.
 */
int warn_unused durable_add(struct dump_engine *engine, uint64_t index, uint64_t populated);

/* The rest of them; after the last chunk, one thread.  As durable_add(). */
int warn_unused durable_settle(struct dump_engine *engine);

#endif /* DUMP_ENGINE_DURABLE_H */
